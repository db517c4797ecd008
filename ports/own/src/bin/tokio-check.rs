//! `tokio-check` — an asynchronous program: tasks, timers, channels, files, children, sockets.

use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::Command;
use tokio::sync::mpsc;

type Outcome = Result<(), Box<dyn std::error::Error>>;

#[tokio::main(flavor = "multi_thread", worker_threads = 3)]
async fn main() -> Outcome {
    tasks().await?;
    timers().await?;
    files().await?;
    sockets().await?;
    children().await?;
    Ok(())
}

async fn tasks() -> Outcome {
    let (sender, mut receiver) = mpsc::channel(4);
    for number in 0..1000_u64 {
        let sender = sender.clone();
        tokio::spawn(async move { sender.send(number).await });
    }
    drop(sender);
    let mut sum = 0;
    while let Some(number) = receiver.recv().await {
        sum += number;
    }
    println!("1000 tasks: sum {sum}");
    Ok(())
}

async fn timers() -> Outcome {
    let start = Instant::now();
    let late = tokio::time::sleep(Duration::from_secs(3600));
    let given_up = tokio::time::timeout(Duration::from_millis(50), late).await.is_err();
    let kept = start.elapsed() >= Duration::from_millis(50);
    println!("timeout: {given_up}, not early: {kept}");
    Ok(())
}

async fn files() -> Outcome {
    tokio::fs::write("/tmp/tokio-check", "asynchronous").await?;
    println!("file: {}", tokio::fs::read_to_string("/tmp/tokio-check").await?);
    tokio::fs::remove_file("/tmp/tokio-check").await?;
    Ok(())
}

/// More than a pipe holds, so that both sides must wait for each other.
async fn sockets() -> Outcome {
    const SIZE: usize = 1 << 20;
    let (mut one, mut other) = UnixStream::pair()?;
    let writer = tokio::spawn(async move { one.write_all(&vec![7; SIZE]).await });
    let mut bytes = Vec::new();
    other.read_to_end(&mut bytes).await?;
    writer.await??;
    println!("pair: {} bytes, intact: {}", bytes.len(), bytes.iter().all(|&byte| byte == 7));
    Ok(())
}

async fn children() -> Outcome {
    let output = Command::new("echo").arg("hello from a child").output().await?;
    print!("child: {}", String::from_utf8_lossy(&output.stdout));
    let status = Command::new("sh").args(["-c", "exit 7"]).status().await?;
    println!("status: {:?}", status.code());
    Ok(())
}
