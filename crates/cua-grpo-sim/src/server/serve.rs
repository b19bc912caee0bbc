//! Accepts connections, and cuts off those that send nothing, or take nothing of what they are sent.

use super::{config::Limits, patient::Patient};
use axum::{
    Router,
    body::{Body, Bytes},
    http::{Request, Uri},
};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service as _, service_fn},
};
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

/// Why there is no body.
#[derive(Debug)]
pub(super) enum NoBody {
    /// It is too large.
    TooLarge,
    /// It broke off, or is not what its headers say; in words.
    Broken(String),
    /// It did not come in time.
    Late,
}

/// All of a body, which may neither be larger than `most` nor take longer than `limit`.
pub(super) async fn whole(body: Body, most: usize, limit: Duration) -> Result<Bytes, NoBody> {
    match timeout(limit, axum::body::to_bytes(body, most)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        // The limit is the only error that axum makes itself; its type is not part of axum.
        Ok(Err(error)) if error.to_string() == "length limit exceeded" => Err(NoBody::TooLarge),
        Ok(Err(error)) => Err(NoBody::Broken(error.to_string())),
        Err(_) => Err(NoBody::Late),
    }
}

/// What paths of the API begin with.
const ROOTS: [&str; 8] = [
    "boxes",
    "devices",
    "devtools",
    "live",
    "model",
    "snapshots",
    "storage",
    "terminal",
];

/// Takes away what stands before the API's own path, so that it is reached under any address.
fn shorten(uri: &mut Uri) {
    let root = |segment: &str| ROOTS.contains(&segment);
    let path = uri.path();
    let begins = path.match_indices('/').map(|(at, _)| at).find(|at| {
        let segment = path[at + 1..].split('/').next();
        segment.is_some_and(root)
    });
    let Some(begins) = begins.filter(|begins| *begins > 0) else {
        return;
    };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    // A part of a path that was valid is valid.
    if let Ok(shorter) = format!("{}{query}", &path[begins..]).parse() {
        *uri = shorter;
    }
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
    let service = service_fn(move |mut request: Request<Incoming>| {
        shorten(request.uri_mut());
        service.call(request)
    });
    let connection = builder
        .serve_connection(TokioIo::new(Patient::new(stream, limits.answer)), service)
        .with_upgrades();
    let mut served = pin!(connection);
    tokio::select! {
        _ = served.as_mut() => return,
        _ = stop.wait_for(|stop| *stop) => served.as_mut().graceful_shutdown(),
    }
    let _ = served.await;
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn any_beginning_of_a_path_is_taken_away() {
        let table = [
            ("/api/v1/boxes?page=1", "/boxes?page=1"),
            ("/a/b/c/boxes/x/fs/list", "/boxes/x/fs/list"),
            ("/boxes/boxes/actions/tap", "/boxes/boxes/actions/tap"),
            ("/model", "/model"),
            ("/api/v1/nothing", "/api/v1/nothing"),
            ("/", "/"),
        ];
        for (path, wanted) in table {
            let mut uri: Uri = path.parse().unwrap();
            shorten(&mut uri);
            assert_eq!(uri.to_string(), wanted);
        }
    }
}
