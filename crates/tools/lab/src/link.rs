//! A TCP link between a replica and the broker, which can be cut while connections are open, and mended.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use stack::ports::local;

/// A link, open at first; gone, with its connections, when it is dropped.
#[derive(Debug)]
pub struct Link {
    cut: watch::Sender<bool>,
    acceptor: tokio::task::JoinHandle<()>,
}

impl Link {
    /// Listens on one port of this machine and carries every connection to another.
    pub async fn start(port: u16, upstream: u16) -> Result<Self> {
        let listener = TcpListener::bind(local(port))
            .await
            .with_context(|| format!("port {port}, wanted for the second replica's link, cannot be used"))?;
        let cut = watch::Sender::new(false);
        let acceptor = tokio::spawn(accept(listener, local(upstream), cut.subscribe()));
        Ok(Self { cut, acceptor })
    }

    /// Closes every connection, with what it held; whoever connects from now on hears nothing.
    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// Lets connections pass again, also those that wait.
    pub fn mend(&self) {
        self.cut.send_replace(false);
    }

    /// Whether it is cut.
    pub fn is_cut(&self) -> bool {
        *self.cut.borrow()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.acceptor.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, upstream: SocketAddr, cut: watch::Receiver<bool>) {
    // An error of one connection, such as too many files, is the client's to notice.
    loop {
        if let Ok((client, _)) = listener.accept().await {
            tokio::spawn(carry(client, upstream, cut.clone()));
        }
    }
}

/// One connection, until a side ends or the link is cut.
async fn carry(mut client: TcpStream, upstream: SocketAddr, mut cut: watch::Receiver<bool>) {
    // Held rather than refused: a client that is refused tries again at once, and says so in its log each time.
    let mut early = [0];
    let mended = tokio::select! {
        mended = cut.wait_for(|cut| !*cut) => mended.is_ok(),
        // It waits for the broker's greeting, so that all it can do is leave.
        _ = client.peek(&mut early) => false,
    };
    if !mended {
        return;
    }
    let carried = async {
        let mut upstream = TcpStream::connect(upstream).await?;
        for side in [&client, &upstream] {
            // Small messages must not wait for more to come.
            side.set_nodelay(true)?;
        }
        copy_bidirectional(&mut client, &mut upstream).await
    };
    tokio::select! {
        biased;
        // A link that was dropped is cut, too.
        _ = cut.wait_for(|cut| *cut) => {}
        _ = carried => {}
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_cut_link_closes_what_is_open_and_holds_what_comes_until_it_is_mended() {
        let broker = TcpListener::bind(local(0)).await.unwrap();
        let free = TcpListener::bind(local(0)).await.unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let link = Link::start(port, broker.local_addr().unwrap().port())
            .await
            .unwrap();

        let mut client = TcpStream::connect(local(port)).await.unwrap();
        let (mut greeter, _) = broker.accept().await.unwrap();
        greeter.write_all(b"INFO").await.unwrap();
        let mut greeting = [0; 4];
        client.read_exact(&mut greeting).await.unwrap();
        assert_eq!(&greeting, b"INFO");

        link.cut();
        assert!(link.is_cut());
        assert_eq!(client.read(&mut greeting).await.unwrap_or(0), 0);
        let mut held = TcpStream::connect(local(port)).await.unwrap();
        let nothing = timeout(Duration::from_millis(200), held.read(&mut greeting)).await;
        assert!(nothing.is_err(), "{nothing:?}");

        link.mend();
        let (mut greeter, _) = broker.accept().await.unwrap();
        greeter.write_all(b"INFO").await.unwrap();
        held.read_exact(&mut greeting).await.unwrap();

        // Those that wait end with the link.
        link.cut();
        let mut held = TcpStream::connect(local(port)).await.unwrap();
        drop(link);
        assert_eq!(held.read(&mut greeting).await.unwrap_or(0), 0);
    }
}
