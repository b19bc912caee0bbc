//! The object store: pictures, films and backups under a key, and addresses under which they can be fetched for a while
//! without a key of the API.

use super::{
    client::Caller,
    reply::{ApiError, Parameters, read},
    state::{Shared, SimState, duration},
};
use axum::{
    body::Bytes,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Bytes of all objects together; the oldest are forgotten first.
const LARGEST: usize = 256 * 1024 * 1024;
/// What keys begin with on the wire.
const SCHEME: &str = "storage://";
/// Life of an address when nothing is said.
pub(super) const DEFAULT_LIFE: Duration = Duration::from_secs(30 * 60);
/// Longest life of an address.
const LONGEST_LIFE: Duration = Duration::from_secs(6 * 3600);

#[derive(Debug, Clone)]
struct Object {
    kind: &'static str,
    bytes: Bytes,
}

#[derive(Debug, Default)]
struct Inner {
    objects: HashMap<String, Object>,
    order: VecDeque<String>,
    used: usize,
}

/// All objects, by key.
#[derive(Debug, Default)]
pub(super) struct Store {
    inner: Mutex<Inner>,
    /// Signs addresses: nobody else knows its secret.
    secret: RandomState,
}

impl Store {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps an object of a box; the key is as the wire has it.
    pub fn put(&self, box_id: &str, ending: &str, kind: &'static str, bytes: Bytes) -> String {
        let key = format!("boxes/{box_id}/{}.{ending}", uuid::Uuid::new_v4());
        let mut inner = self.inner();
        inner.used += bytes.len();
        inner.order.push_back(key.clone());
        inner.objects.insert(key.clone(), Object { kind, bytes });
        while inner.used > LARGEST && inner.order.len() > 1 {
            let oldest = inner.order.pop_front().and_then(|oldest| inner.objects.remove(&oldest));
            inner.used -= oldest.map_or(0, |object| object.bytes.len());
        }
        format!("{SCHEME}{key}")
    }

    fn sign(&self, key: &str, expires: u64) -> String {
        format!("{:016x}", self.secret.hash_one((key, expires)))
    }

    /// An address for an object, good for a while; `None` when there is no such object.
    pub fn presign(&self, caller: &Caller, key: &str, life: Duration) -> Option<String> {
        let key = key.strip_prefix(SCHEME).unwrap_or(key);
        self.inner().objects.get(key)?;
        let expires = milliseconds(SystemTime::now() + life);
        let (origin, signature) = (caller.origin(), self.sign(key, expires));
        Some(format!(
            "{origin}/storage/{key}?expires={expires}&signature={signature}"
        ))
    }

    /// The object behind an address, however it is reached.
    ///
    /// # Errors
    /// 403 when the address is not ours or has expired, 404 when the object is forgotten.
    fn open(&self, key: &str, expires: u64, signature: &str) -> Result<Object, ApiError> {
        let refuse = |message: &str| ApiError::new(StatusCode::FORBIDDEN, message);
        if self.sign(key, expires) != signature {
            return Err(refuse("storage: the signature is not that of this address"));
        }
        if milliseconds(SystemTime::now()) > expires {
            return Err(refuse("storage: the address has expired; ask for another"));
        }
        let object = self.inner().objects.get(key).cloned();
        object.ok_or_else(|| ApiError::not_found(format!("storage: {key:?} is not there")))
    }

    /// The bytes behind an address that was given out, as a client sends it back.
    pub fn behind(&self, url: &str) -> Option<Result<Bytes, ApiError>> {
        let (_, rest) = url.split_once("/storage/")?;
        let (key, query) = rest.split_once('?')?;
        let value = |name: &str| {
            query
                .split('&')
                .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
        };
        let expires = value("expires")?.parse().ok()?;
        Some(self.open(key, expires, value("signature")?).map(|object| object.bytes))
    }
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Reads the life of an address.
pub(super) fn life(what: &str, text: Option<&str>) -> Result<Duration, ApiError> {
    let life = duration(what, text, DEFAULT_LIFE)?;
    if life > LONGEST_LIFE {
        return Err(ApiError::bad(format!("{what}: expected at most 6h")));
    }
    Ok(life)
}

/// `GET /storage/KEY`, for whoever has the address.
pub(super) async fn fetch(
    State(state): State<Shared>,
    Path(key): Path<String>,
    query: Parameters,
) -> Result<Response, ApiError> {
    let expires = query.required("expires")?.parse();
    let expires = expires.map_err(|_| ApiError::bad("expires: expected milliseconds since 1970"))?;
    let object = state.store.open(&key, expires, query.required("signature")?)?;
    Ok(([(header::CONTENT_TYPE, object.kind)], object.bytes).into_response())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Presign {
    storage_key: String,
    expires_in: Option<String>,
}

/// `POST /boxes/{id}/storage/presigned-url`: an address as plain text.
pub(super) async fn presigned_url(
    State(state): State<Shared>,
    Path(id): Path<String>,
    caller: Caller,
    body: Bytes,
) -> Result<String, ApiError> {
    let request: Presign = read("presigned url", &body)?;
    let life = life("expiresIn", request.expires_in.as_deref())?;
    state.object(&id)?;
    let own = request.storage_key.starts_with(&format!("{SCHEME}boxes/{id}/"))
        || request.storage_key.starts_with(&format!("boxes/{id}/"));
    let address = own
        .then(|| state.store.presign(&caller, &request.storage_key, life))
        .flatten();
    address.ok_or_else(|| {
        let shown: String = request.storage_key.chars().take(120).collect();
        ApiError::not_found(format!("storageKey: {shown:?} is no object of this box"))
    })
}

impl SimState {
    /// Keeps an object of a box and gives its key and an address for it.
    pub fn keep(
        &self,
        caller: &Caller,
        box_id: &str,
        (ending, kind): (&str, &'static str),
        bytes: Bytes,
        life: Duration,
    ) -> (String, String) {
        let key = self.store.put(box_id, ending, kind, bytes);
        let address = self.store.presign(caller, &key, life).unwrap_or_default();
        (key, address)
    }
}
