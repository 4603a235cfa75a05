//! Notifications answered 202 after their commit, beside a server that only parses and answers.

use std::{sync::Arc, time::Duration};

use tidings_domain::clock::SystemClock;

use crate::{
    Settings,
    gateway::Gateway,
    load::{Load, Numbers, Target, closed, open},
    nodes::{self, Spent},
    process::Process,
    quantiles::median,
    report::Report,
};

/// How long the server runs warm before it is measured.
const WARM_UP: Duration = Duration::from_secs(1);

pub(crate) async fn run(settings: &Settings) -> anyhow::Result<()> {
    let clock = Arc::new(SystemClock::new());
    let mut report = Report::new(
        "ingest: answered 202, enrich and deliver at rest",
        settings.json,
    );
    for &size in &settings.per_post {
        let mut rounds = Rounds::default();
        for _ in 0..settings.rounds {
            rounds.bare(&clock, settings, size).await?;
            rounds.gateway(&clock, settings, size).await?;
        }
        rounds.report(&mut report, size);
    }
    report.end();
    Ok(())
}

#[derive(Default)]
struct Rounds {
    bare: Vec<f64>,
    gateway: Vec<f64>,
    quantiles: Vec<[f64; 3]>,
    half_speed_p99: Vec<f64>,
    cpu: Vec<Spent>,
    rss: Vec<f64>,
    peak_rss: Vec<f64>,
    refused: u64,
}

impl Rounds {
    async fn bare(
        &mut self,
        clock: &Arc<SystemClock>,
        settings: &Settings,
        size: u64,
    ) -> anyhow::Result<()> {
        let this = std::env::current_exe()?;
        let server = Process::start(&this, &["bare-server"], &[]).await?;
        let address = nodes::address(&server)?;
        let target = Target {
            addresses: vec![address],
            path: "/".to_owned(),
            subject: crate::bodies::Subject::made_up(),
            size,
        };
        let numbers = Numbers::default();
        closed(clock, &target, &numbers, settings.connections, WARM_UP).await?;
        self.bare.push(
            closed(
                clock,
                &target,
                &numbers,
                settings.connections,
                settings.span(),
            )
            .await?
            .per_second(),
        );
        server.kill().await
    }

    async fn gateway(
        &mut self,
        clock: &Arc<SystemClock>,
        settings: &Settings,
        size: u64,
    ) -> anyhow::Result<()> {
        // Only ingest works: what the stages behind it cost is measured by `e2e`.
        let gateway = Gateway::start(settings, &[("TIDINGS__ENRICH__CONCURRENCY", "0")]).await?;
        let (target, numbers) = (gateway.target("deleted", size)?, Numbers::default());
        closed(clock, &target, &numbers, settings.connections, WARM_UP).await?;
        let before = gateway.nodes.spent()?;
        let mut full = closed(
            clock,
            &target,
            &numbers,
            settings.connections,
            settings.span(),
        )
        .await?;
        let spent = gateway.nodes.spent()?;
        self.refused += full.refused;
        self.gateway.push(full.per_second());
        self.quantiles
            .push([500, 990, 999].map(|per_mille| full.accepted.quantile(per_mille)));
        self.cpu
            .push(spent.each(before, notifications(&full, size)));
        let half = full.per_second() / 2.0;
        let mut half = open(
            clock,
            &target,
            &numbers,
            settings.connections,
            settings.span(),
            half,
        )
        .await?;
        self.half_speed_p99.push(half.accepted.quantile(990));
        self.rss.push(gateway.nodes.rss_mib()?);
        self.peak_rss.push(gateway.nodes.peak_rss_mib()?);
        gateway.stop().await
    }

    fn report(&self, report: &mut Report, size: u64) {
        let per_post = u32::try_from(size).map_or(f64::NAN, f64::from);
        let (bare, gateway) = (median(&self.bare), median(&self.gateway));
        let quantile = |place: usize| {
            median(
                &self
                    .quantiles
                    .iter()
                    .map(|three| three[place])
                    .collect::<Vec<_>>(),
            )
        };
        report.row(
            &format!("bare server, {size} per POST"),
            &[("POST/s", bare), ("notifications/s", bare * per_post)],
        );
        let mut figures = vec![
            ("POST/s", gateway),
            ("notifications/s", gateway * per_post),
            ("ratio", gateway / bare),
            ("p50 ms", quantile(0)),
            ("p99 ms", quantile(1)),
            ("p99.9 ms", quantile(2)),
            ("p99 ms at half speed", median(&self.half_speed_p99)),
            ("RSS MiB", median(&self.rss)),
            ("peak RSS MiB", median(&self.peak_rss)),
            (
                "refused",
                f64::from(u32::try_from(self.refused).unwrap_or(u32::MAX)),
            ),
        ];
        figures.extend(nodes::cpu_figures(&self.cpu));
        report.row(&format!("gateway, {size} per POST"), &figures);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of notifications stay far below 2^52"
)]
fn notifications(load: &Load, size: u64) -> f64 {
    load.accepted.count() as f64 * size as f64
}
