//! nginx (Debian package `nginx`): one file over HTTP, from one process with one epoll loop.

use std::path::Path;

use super::peer::Peer;
use super::process::{installed, version_of};
use crate::error::{Doing, LoadError};

/// Starts nginx to serve `body` as the file at `path`, set up to be as fast as it gets.
pub fn start(core: Option<usize>, path: &str, body: &[u8]) -> Result<Peer, LoadError> {
    let program = installed(PROGRAM, "nginx")?;
    Peer::start(&program, core, |command, folder, address| {
        let file = folder.join("root").join(path.trim_start_matches('/'));
        let parent = file.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent).doing("make the folder of nginx")?;
        std::fs::write(&file, body).doing("write the file of nginx")?;
        let config = folder.join("nginx.conf");
        std::fs::write(&config, configuration(folder, &address.to_string())).doing("write the set-up of nginx")?;
        command.arg("-p").arg(folder).arg("-c").arg(config).args(["-e", "stderr"]);
        Ok(())
    })
}

/// What it says of itself.
pub fn version() -> Option<String> {
    version_of(PROGRAM.as_ref(), "-v")
}

/// One worker, which is the process itself: so its processor time is what `/proc` says of the one we started, and it
/// can read a folder that nobody else may. No log, the file kept open, any number of requests on a connection.
fn configuration(folder: &Path, listen: &str) -> String {
    let folder = folder.display();
    format!(
        "daemon off;
master_process off;
worker_processes 1;
pid {folder}/nginx.pid;
events {{
    worker_connections 8192;
    multi_accept on;
}}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    open_file_cache max=16 inactive=1h;
    open_file_cache_valid 1h;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    default_type application/json;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen {listen} backlog=4096;
        root {folder}/root;
    }}
}}
"
    )
}

const PROGRAM: &str = "nginx";
