//! A short run with every kind of fault: the whole stack as processes, a real broker, real databases.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod leaving;
mod short_run;

/// Each test is a whole stack under load: side by side they would slow each other down to where deadlines pass.
async fn one_at_a_time() -> tokio::sync::MutexGuard<'static, ()> {
    static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
    TURN.lock().await
}
