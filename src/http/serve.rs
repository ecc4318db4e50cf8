//! Listening: plain or TLS, until told to stop.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;

use crate::config::Tls;
use crate::error::{Error, Result};
use crate::store::keys::write_private;

/// How long what is in flight may take after the signal to stop.
pub const DRAIN: Duration = Duration::from_secs(4);
/// How long background work may take to end after that.
pub const LAST_WAIT: Duration = Duration::from_millis(500);
/// How long a client may take to send its request's head.
const HEAD_WAIT: Duration = Duration::from_secs(15);

/// Serves the router on the listener until the handle is told to stop.
///
/// # Errors
/// When the certificate can't be used or the listener fails.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<RustlsConfig>,
    handle: Handle<SocketAddr>,
) -> Result<()> {
    listener.set_nonblocking(true)?;
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    match tls {
        None => {
            let mut server = axum_server::from_tcp(listener)?.handle(handle);
            server.http_builder().http1().timer(hyper_util::rt::TokioTimer::new()).header_read_timeout(HEAD_WAIT);
            server.serve(service).await?;
        }
        Some(tls) => {
            let mut server = axum_server::from_tcp_rustls(listener, tls)?.handle(handle);
            server.http_builder().http1().timer(hyper_util::rt::TokioTimer::new()).header_read_timeout(HEAD_WAIT);
            server.serve(service).await?;
        }
    }
    Ok(())
}

/// The certificate that the configuration asks for.
///
/// # Errors
/// When it can't be read or made.
pub async fn certificate(tls: &Tls, data: &Path) -> Result<Option<RustlsConfig>> {
    let (certificate, key) = match tls {
        Tls::Off => return Ok(None),
        Tls::Files { certificate, key } => (certificate.clone(), key.clone()),
        Tls::SelfSigned => {
            let (certificate, key) = (data.join("tls-certificate.pem"), data.join("tls-key.pem"));
            if !certificate.exists() {
                let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "canshi.local".to_owned()])
                    .map_err(|error| Error::Corrupt(format!("a certificate could not be made: {error}")))?;
                write_private(&key, made.signing_key.serialize_pem().as_bytes())?;
                write_private(&certificate, made.cert.pem().as_bytes())?;
            }
            (certificate, key)
        }
    };
    // The provider may be installed already by another part of the process; it is the same one.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    Ok(Some(RustlsConfig::from_pem_file(certificate, key).await?))
}
