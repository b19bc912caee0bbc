//! A panic of an environment, sampler, renderer or reward as a fault: it loses its attempt, not the run.

use cua_grpo_core::{Fault, FaultKind};
use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

/// The kind of a fault that was a panic: a defect of what plays behind a seam.
const PANIC: FaultKind = FaultKind::other("panic");

/// Runs `call`; a panic in it is a fault while doing `operation`. What the call held is dropped then, so whatever it
/// shares with others must bear being left in the middle.
pub(crate) async fn caught<T, E: From<Fault>>(
    operation: &'static str,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let mut call = pin!(call);
    poll_fn(
        move |context| match catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(context))) {
            Ok(poll) => poll,
            Err(panic) => Poll::Ready(Err(panicked(operation, &*panic).into())),
        },
    )
    .await
}

fn panicked(operation: &'static str, panic: &(dyn Any + Send)) -> Fault {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    let text = text.unwrap_or_else(|| "without a message".to_owned());
    Fault::new(PANIC, operation, format!("it panicked ({text}); this is a defect"))
}
