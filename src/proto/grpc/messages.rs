//! The messages as structs, made of the repository's `.proto` files by `build.rs`, and the descriptors
//! of those files. What they mean is said there.

#![allow(missing_docs)]

/// The first family's.
pub mod manga {
    include!(concat!(env!("OUT_DIR"), "/manga.rs"));
}

/// The second family's.
pub mod pb {
    include!(concat!(env!("OUT_DIR"), "/pb.rs"));
}

/// This server's own.
pub mod own {
    include!(concat!(env!("OUT_DIR"), "/mangahub.v1.rs"));
}

/// How a service is.
pub mod health {
    include!(concat!(env!("OUT_DIR"), "/grpc.health.v1.rs"));
}

/// What a server speaks. The older version has the same messages under another name.
pub mod reflection {
    include!(concat!(env!("OUT_DIR"), "/grpc.reflection.v1.rs"));
}

/// Every file, compiled.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
