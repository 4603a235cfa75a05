//! A backlog of deliveries sent out, beside a client that only signs and sends.

use std::{sync::Arc, time::Duration};

use tidings_domain::{Clock, clock::SystemClock};

use crate::{
    Settings,
    gateway::Gateway,
    load::{Numbers, closed},
    nodes::{self, Spent},
    process::Process,
    quantiles::median,
    report::Report,
    sink::Sink,
};

/// Webhooks that share the backlog; each is sent to over 8 connections by default.
const WEBHOOKS: u64 = 4;

pub(crate) async fn run(settings: &Settings) -> anyhow::Result<()> {
    let clock = Arc::new(SystemClock::new());
    let (mut bare, mut gateway, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..settings.rounds {
        bare.push(bare_client(&clock, settings).await?);
        let (per_second, each) = drain(&clock, settings).await?;
        gateway.push(per_second);
        cpu.push(each);
    }
    let (bare, gateway) = (median(&bare), median(&gateway));
    let mut report = Report::new("deliver: a backlog sent out", settings.json);
    report.row("bare signing client", &[("deliveries/s", bare)]);
    let mut figures = vec![("deliveries/s", gateway), ("ratio", gateway / bare)];
    figures.extend(nodes::cpu_figures(&cpu));
    report.row("gateway", &figures);
    report.end();
    Ok(())
}

async fn bare_client(clock: &Arc<SystemClock>, settings: &Settings) -> anyhow::Result<f64> {
    let sink = Sink::start(Arc::clone(clock)).await?;
    let this = std::env::current_exe()?;
    let (count, connections) = (settings.seconds * 10_000, WEBHOOKS * 8);
    let arguments = [
        "bare-client",
        "--sink",
        &sink.address.to_string(),
        "--count",
        &count.to_string(),
        "--concurrency",
        &connections.to_string(),
    ]
    .map(str::to_owned);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let client = Process::start(&this, &arguments, &[]).await?;
    let seconds = client.hello["seconds"].as_f64().unwrap_or(f64::NAN);
    client.wait().await?;
    Ok(f64::from(u32::try_from(sink.count())?) / seconds)
}

/// Fills the queues of disabled webhooks, then enables them and measures until the last delivery has come.
async fn drain(clock: &Arc<SystemClock>, settings: &Settings) -> anyhow::Result<(f64, Spent)> {
    let gateway = Gateway::start(settings, &[]).await?;
    let sink = Sink::start(Arc::clone(clock)).await?;
    let mut webhooks = Vec::new();
    for _ in 0..WEBHOOKS {
        webhooks.push(gateway.webhook(&sink).await?);
    }
    for webhook in &webhooks {
        gateway.tidings(&["webhook", "disable", webhook]).await?;
    }
    gateway.wait_until_all_know(clock).await;
    let (target, numbers) = (gateway.target("deleted", 10)?, Numbers::default());
    let wanted = settings.seconds * 10_000 / WEBHOOKS;
    while numbers.so_far() < wanted {
        closed(clock, &target, &numbers, 8, Duration::from_millis(200)).await?;
    }
    let expected = numbers.so_far() * WEBHOOKS;
    gateway.wait_until_enriched(clock).await?;
    let (started, before) = (clock.monotonic(), gateway.nodes.spent()?);
    for webhook in &webhooks {
        gateway.tidings(&["webhook", "enable", webhook]).await?;
    }
    let came = sink.wait_for(expected, Duration::from_mins(5)).await;
    let seconds = clock.monotonic().saturating_sub(started).as_secs_f64();
    anyhow::ensure!(came >= expected, "{came} of {expected} deliveries came");
    let came = f64::from(u32::try_from(came)?);
    let each = gateway.nodes.spent()?.each(before, came);
    gateway.stop().await?;
    Ok((came / seconds, each))
}
