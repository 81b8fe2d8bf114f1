//! Compiles the `.proto` files of the repository: structs for the messages, and the descriptors that
//! clients can ask the server for. No installed protoc is needed.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

/// What is compiled; a file that is not named here is not served.
const FILES: [&str; 6] = [
    "manga.proto",
    "pb.proto",
    "mangahub/v1/mangahub.proto",
    "grpc/health/v1/health.proto",
    "grpc/reflection/v1/reflection.proto",
    "grpc/reflection/v1alpha/reflection.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    prost_build::Config::new().bytes(["."]).compile_fds(descriptors)?;
    Ok(())
}
