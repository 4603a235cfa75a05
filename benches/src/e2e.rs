//! From Graph's POST to a signed delivery, beside a pipeline without a store.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tidings_domain::{Clock, clock::SystemClock};

use crate::{
    Settings,
    bodies::{self, Subject},
    gateway::Gateway,
    load::{Numbers, Target, closed, open},
    nodes::{self, Spent},
    process::Process,
    quantiles::{Latencies, median},
    report::Report,
    sink::Sink,
};

/// How long the pipelines may take to drain after the last POST.
const DRAIN: Duration = Duration::from_mins(2);

/// Events of the emulated calendar that changes are about, where a GET is needed.
const EVENTS: usize = 2_000;

pub(crate) async fn run(settings: &Settings) -> anyhow::Result<()> {
    let clock = Arc::new(SystemClock::new());
    let mut report = Report::new("e2e: from Graph's POST to a signed delivery", settings.json);
    for &size in &settings.per_post {
        let (mut server, mut bare, mut without, mut with) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut cpu, mut rss) = (Vec::new(), Vec::new());
        for _ in 0..settings.rounds {
            server.push(bare_server(&clock, settings, size).await?);
            bare.push(bare_pipeline(&clock, settings, size).await?);
            let run = through(&clock, settings, size, "deleted").await?;
            without.push(run.per_second);
            cpu.push(run.cpu);
            rss.push(run.peak_rss);
            with.push(through(&clock, settings, size, "updated").await?.per_second);
        }
        let (server, bare, without) = (median(&server), median(&bare), median(&without));
        report.row(
            &format!("bare server, {size} per POST"),
            &[("notifications/s", server)],
        );
        report.row(
            &format!("bare pipeline, {size} per POST"),
            &[("deliveries/s", bare)],
        );
        let mut figures = vec![
            ("deliveries/s", without),
            ("÷ bare pipeline", without / bare),
            ("÷ bare server", without / server),
            ("peak RSS MiB", median(&rss)),
        ];
        figures.extend(nodes::cpu_figures(&cpu));
        report.row(&format!("gateway without GET, {size} per POST"), &figures);
        report.row(
            &format!("gateway with GET, {size} per POST"),
            &[("deliveries/s", median(&with))],
        );
    }
    latency(&clock, settings, &mut report).await?;
    report.end();
    Ok(())
}

struct Run {
    per_second: f64,
    cpu: Spent,
    peak_rss: f64,
}

async fn bare_server(
    clock: &Arc<SystemClock>,
    settings: &Settings,
    size: u64,
) -> anyhow::Result<f64> {
    let server = Process::start(&std::env::current_exe()?, &["bare-server"], &[]).await?;
    let target = bare_target(&server, size)?;
    let load = closed(
        clock,
        &target,
        &Numbers::default(),
        settings.connections,
        settings.span(),
    )
    .await?;
    server.kill().await?;
    Ok(load.per_second() * f64::from(u32::try_from(size)?))
}

async fn bare_pipeline(
    clock: &Arc<SystemClock>,
    settings: &Settings,
    size: u64,
) -> anyhow::Result<f64> {
    let sink = Sink::start(Arc::clone(clock)).await?;
    let arguments = ["bare-pipeline", "--sink", &sink.address.to_string()].map(str::to_owned);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let server = Process::start(&std::env::current_exe()?, &arguments, &[]).await?;
    let target = bare_target(&server, size)?;
    let run = flow(clock, settings, &target, &sink).await?;
    server.kill().await?;
    Ok(run)
}

async fn through(
    clock: &Arc<SystemClock>,
    settings: &Settings,
    size: u64,
    change: &'static str,
) -> anyhow::Result<Run> {
    let gateway = Gateway::start(settings, &[]).await?;
    let sink = Sink::start(Arc::clone(clock)).await?;
    let mut target = gateway.target(change, size)?;
    if change != "deleted" {
        target.subject.events = gateway.create_events(EVENTS).await?;
        gateway.wait_until_enriched(clock).await?;
    }
    gateway.webhook(&sink).await?;
    gateway.wait_until_all_know(clock).await;
    let before = gateway.nodes.spent()?;
    let per_second = flow(clock, settings, &target, &sink).await?;
    let came = f64::from(u32::try_from(sink.count())?);
    let cpu = gateway.nodes.spent()?.each(before, came);
    let peak_rss = gateway.nodes.peak_rss_mib()?;
    gateway.stop().await?;
    Ok(Run {
        per_second,
        cpu,
        peak_rss,
    })
}

/// Sends for the configured span as fast as answers come, and gives deliveries per second until the last has come.
async fn flow(
    clock: &Arc<SystemClock>,
    settings: &Settings,
    target: &Target,
    sink: &Sink,
) -> anyhow::Result<f64> {
    let numbers = Numbers::default();
    let started = clock.monotonic();
    let load = closed(
        clock,
        target,
        &numbers,
        settings.connections,
        settings.span(),
    )
    .await?;
    let expected = numbers.so_far() - load.refused * target.size;
    let came = sink.wait_for(expected, DRAIN).await;
    let seconds = clock.monotonic().saturating_sub(started).as_secs_f64();
    anyhow::ensure!(
        came >= expected,
        "{came} of {expected} deliveries came within {DRAIN:?} of the last POST"
    );
    Ok(f64::from(u32::try_from(came)?) / seconds)
}

/// End to end at steady rates, one notification per POST: the time from the POST's due moment to the sink.
async fn latency(
    clock: &Arc<SystemClock>,
    settings: &Settings,
    report: &mut Report,
) -> anyhow::Result<()> {
    for (change, rate) in [("deleted", 500.0), ("deleted", 2_000.0), ("updated", 500.0)] {
        let gateway = Gateway::start(settings, &[]).await?;
        let sink = Sink::start(Arc::clone(clock)).await?;
        let mut target = gateway.target(change, 1)?;
        if change != "deleted" {
            // Each event once, so that an arrival tells which POST led to it.
            let seconds = usize::try_from(settings.seconds)?;
            target.subject.events = gateway.create_events(seconds * 500).await?;
            gateway.wait_until_enriched(clock).await?;
        }
        gateway.webhook(&sink).await?;
        gateway.wait_until_all_know(clock).await;
        sink.note_arrivals();
        let numbers = Numbers::default();
        let started = clock.monotonic();
        open(
            clock,
            &target,
            &numbers,
            settings.connections,
            settings.span(),
            rate,
        )
        .await?;
        let expected = numbers.so_far();
        sink.wait_for(expected, DRAIN).await;
        let mut latencies = latencies(&target.subject, expected, started, rate, &sink.arrivals())?;
        report.row(
            &format!(
                "gateway {} GET at {rate}/s",
                if change == "deleted" {
                    "without"
                } else {
                    "with"
                }
            ),
            &[
                ("p50 ms", latencies.quantile(500)),
                ("p99 ms", latencies.quantile(990)),
                ("p99.9 ms", latencies.quantile(999)),
                ("RSS MiB", gateway.nodes.rss_mib()?),
            ],
        );
        gateway.stop().await?;
    }
    Ok(())
}

fn latencies(
    subject: &Subject,
    count: u64,
    started: Duration,
    rate: f64,
    arrivals: &HashMap<Vec<u8>, Duration>,
) -> anyhow::Result<Latencies> {
    let mut latencies = Latencies::default();
    for number in 0..count {
        let due = started + Duration::try_from_secs_f64(f64::from(u32::try_from(number)?) / rate)?;
        if let Some(arrived) = arrivals.get(bodies::event(subject, number).id.as_bytes()) {
            latencies.record(arrived.saturating_sub(due));
        }
    }
    anyhow::ensure!(
        latencies.count() > 0,
        "no delivery could be told from the others"
    );
    Ok(latencies)
}

fn bare_target(server: &Process, size: u64) -> anyhow::Result<Target> {
    Ok(Target {
        addresses: vec![nodes::address(server)?],
        path: "/".to_owned(),
        subject: Subject::made_up(),
        size,
    })
}
