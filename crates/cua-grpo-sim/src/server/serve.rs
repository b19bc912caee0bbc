//! Accepts connections, and cuts off those that send nothing.

use super::config::Limits;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

/// Serves until `stop` is true or gone, then lets requests in progress finish. Dropping the future ends them.
pub(super) async fn serve(listener: TcpListener, app: Router, limits: Limits, mut stop: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            // The semaphore is never closed.
            let place = places.clone().acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = accepted => accepted,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) => {
                let (app, stop) = (app.clone(), stop.clone());
                connections.spawn(async move {
                    let _place = place;
                    connection(stream, app, limits, stop).await;
                });
            }
            // Out of file descriptors, for instance: wait until some are free.
            Err(_) => sleep(Duration::from_millis(100)).await,
        }
    }
    while connections.join_next().await.is_some() {}
}

/// One connection. Its errors are the client's: it went away or sent no HTTP.
async fn connection(stream: TcpStream, app: Router, limits: Limits, mut stop: watch::Receiver<bool>) {
    // Without TCP_NODELAY small answers wait for acknowledgements, about 40 ms each. A socket that refuses the option
    // still works.
    let _ = stream.set_nodelay(true);
    let begun = tokio::select! {
        begun = timeout(limits.first_byte, stream.readable()) => begun,
        _ = stop.wait_for(|stop| *stop) => return,
    };
    if begun.is_err() {
        return;
    }
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits.head);
    let service = TowerToHyperService::new(app);
    let mut served = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = served.as_mut() => return,
        _ = stop.wait_for(|stop| *stop) => served.as_mut().graceful_shutdown(),
    }
    let _ = served.await;
}
