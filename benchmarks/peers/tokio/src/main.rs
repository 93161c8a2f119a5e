// SPDX-License-Identifier: MIT
//! usage: sleeping_tasks TASKS LIMIT
//!
//! As many tasks of the runtime as there may be in flight take inputs from one counter, and send results to one consumer.
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

async fn doubled(x: i64) -> i64 {
    tokio::time::sleep(Duration::from_secs(1)).await;
    2 * x
}

async fn run(tasks: i64, limit: i64) -> i64 {
    let next = Arc::new(AtomicI64::new(0));
    let (sender, mut results) = tokio::sync::mpsc::channel(1024);
    for _ in 0..limit {
        let (next, sender) = (next.clone(), sender.clone());
        tokio::spawn(async move {
            loop {
                let x = next.fetch_add(1, Ordering::Relaxed);
                if x >= tasks {
                    break;
                }
                if sender.send(doubled(x).await).await.is_err() {
                    break;
                }
            }
        });
    }
    drop(sender);
    let mut sum = 0;
    while let Some(result) = results.recv().await {
        sum += result;
    }
    sum
}

fn main() {
    let numbers: Vec<i64> = std::env::args().skip(1).map(|word| word.parse().unwrap()).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
    let start = Instant::now();
    let sum = runtime.block_on(run(numbers[0], numbers[1]));
    println!("{:.4} {}", start.elapsed().as_secs_f64(), sum);
}
