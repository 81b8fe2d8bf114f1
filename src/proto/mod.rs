pub mod buffer;
pub mod http1;
pub mod http_date;
