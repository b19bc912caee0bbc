//! A server that answers every request with the same bytes, whatever was asked.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A server that answers every request with the same bytes.
pub struct Raw {
    pub base_url: String,
    requests: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

/// What comes after the fixed bytes of an answer.
#[derive(Clone, Copy)]
pub enum Then {
    Close,
    /// The same piece for ever, as fast as it is taken.
    Endless(&'static [u8]),
    /// A byte now and then.
    Drip,
}

impl Raw {
    pub async fn start(answer: String, then: Then) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let (requests, heads): (Arc<AtomicUsize>, Arc<Mutex<Vec<String>>>) = Default::default();
        let (seen, kept) = (requests.clone(), heads.clone());
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let (answer, seen, kept) = (answer.clone(), seen.clone(), kept.clone());
                tokio::spawn(async move {
                    let mut buffer = vec![0; 65_536];
                    let read = socket.read(&mut buffer).await.unwrap_or(0);
                    if read == 0 {
                        return;
                    }
                    seen.fetch_add(1, Ordering::SeqCst);
                    kept.lock()
                        .unwrap()
                        .push(String::from_utf8_lossy(&buffer[..read]).into_owned());
                    let _ = socket.write_all(answer.as_bytes()).await;
                    match then {
                        Then::Close => {}
                        Then::Endless(piece) => while socket.write_all(piece).await.is_ok() {},
                        Then::Drip => {
                            while socket.write_all(b" ").await.is_ok() {
                                tokio::time::sleep(Duration::from_millis(20)).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            base_url,
            requests,
            heads,
        }
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

/// The head of an answer.
pub fn head(status: &str, more: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{more}\r\n")
}
