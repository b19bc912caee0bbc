//! How pictures are handed over: inside the answer, or as a key of the object store with an address.

use super::{
    client::Caller,
    reply::ApiError,
    state::{Shared, SimState},
    storage,
};
use crate::{device::Picture, render};
use axum::{body::Bytes, http::StatusCode};
use cua_grpo_gbox::wire::{OutputFormat, Screenshot, data_uri};
use image::RgbImage;
use std::time::Duration;

pub(super) fn failed(error: impl std::fmt::Display) -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("encode screenshot: {error}"))
}

/// Hands pictures of a box to a client.
#[derive(Debug)]
pub(super) struct Hand<'a> {
    state: &'a SimState,
    caller: &'a Caller,
    box_id: &'a str,
    format: OutputFormat,
    life: Duration,
}

impl<'a> Hand<'a> {
    /// Checks how pictures are wanted.
    ///
    /// # Errors
    /// When the life of addresses is none, or too long.
    pub fn new(
        state: &'a Shared,
        caller: &'a Caller,
        box_id: &'a str,
        format: Option<OutputFormat>,
        presigned_expires_in: Option<&str>,
    ) -> Result<Self, ApiError> {
        Ok(Self {
            state,
            caller,
            box_id,
            format: format.unwrap_or_default(),
            life: storage::life("presignedExpiresIn", presigned_expires_in)?,
        })
    }

    fn give(&self, png: Bytes, number: u64) -> Screenshot {
        let (uri, presigned_url) = match self.format {
            OutputFormat::Base64 => (data_uri("image/png", &png), None),
            OutputFormat::StorageKey => {
                let kind = ("png", "image/png");
                let (key, address) = self.state.keep(self.caller, self.box_id, kind, png, self.life);
                (key, Some(address))
            }
        };
        Screenshot {
            uri,
            presigned_url,
            state: Some(number),
        }
    }

    /// A whole picture, on which things can be found from now on.
    pub fn whole(&self, picture: &Picture) -> Result<Screenshot, ApiError> {
        let png = picture.png().map_err(failed)?;
        self.state
            .memory
            .remember(&png, picture.geometry.picture(), || picture.sight());
        Ok(self.give(png, picture.state))
    }

    /// A picture that was worked on.
    pub fn image(&self, image: &RgbImage, number: u64) -> Result<Screenshot, ApiError> {
        Ok(self.give(render::encode(image).map_err(failed)?.into(), number))
    }
}
