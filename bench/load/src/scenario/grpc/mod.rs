//! gRPC: calls as fast as they are answered, calls at a fixed rate, and how soon a stream hears.

pub mod delay;
pub mod flood;
pub mod steady;

use tokio::runtime::{Builder, Runtime};

use crate::error::{Doing, LoadError};
use crate::grpc::Call;

/// What is asked of `manga.MangaService`; field numbers as in `proto/manga.proto`.
mod messages {
    /// Which series.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct GetManga {
        #[prost(string, tag = "1")]
        pub manga_id: String,
    }

    /// What to look for.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct SearchManga {
        #[prost(string, tag = "1")]
        pub title: String,
        #[prost(int32, tag = "6")]
        pub limit: i32,
    }

    /// How far a reader is.
    #[derive(Clone, PartialEq, prost::Message)]
    pub struct UpdateProgress {
        #[prost(string, tag = "2")]
        pub manga_id: String,
        #[prost(string, tag = "3")]
        pub status: String,
        #[prost(int32, tag = "4")]
        pub chapter: i32,
    }
}

/// One series.
pub fn get_manga(slug: &str) -> Call {
    Call::new("manga.MangaService/GetManga", &messages::GetManga { manga_id: slug.to_owned() }, None)
}

/// Up to twenty series by a word of the title.
pub fn search_manga(word: &str) -> Call {
    let message = messages::SearchManga { title: word.to_owned(), limit: 20 };
    Call::new("manga.MangaService/SearchManga", &message, None)
}

/// Reading a chapter, stored before it is answered.
pub fn update_progress(slug: &str, chapter: i32, token: &str) -> Call {
    let message = messages::UpdateProgress { manga_id: slug.to_owned(), status: "reading".to_owned(), chapter };
    Call::new("manga.MangaService/UpdateProgress", &message, Some(token))
}

/// The one thread on which a scenario's calls run.
fn runtime() -> Result<Runtime, LoadError> {
    Builder::new_current_thread().enable_all().build().doing("start a runtime")
}

/// The answer to one call, as it comes over the wire.
pub fn answer(address: std::net::SocketAddr, call: &Call) -> Result<bytes::Bytes, LoadError> {
    runtime()?.block_on(async { crate::grpc::Channel::connect(address).await?.unary(call).await })
}
