//! What every backend of the store must do, each case against a fresh store of each backend.
//!
//! A case is a function of a [`Fixture`]: an opened store and how to open it once more. Each area has a
//! file, which names its cases to `contract!`. A new backend adds one module to that macro, and nothing else.

use fixture::*;
use mangahub::store::model::*;
use mangahub::store::{Store, StoreError, UPSERTS_MAX};
use proptest::prelude::*;

/// Each backend, and how a fixture of it is made; then every case that all of them must pass.
macro_rules! contract {
    ($($case:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test] fn $case() { super::$case(super::Fixture::sqlite()); })+
        }
    };
}

mod accounts;
mod catalogue;
mod departure;
mod fixture;
mod friends;
mod history;
mod lanes;
mod lists;
mod notices;
mod opinions;
mod progress;
mod reading;
mod recommend;
mod series;
mod stats;
mod users;
mod webhooks;
