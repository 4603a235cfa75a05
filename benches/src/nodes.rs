//! The gateways under measurement: one, or several on one database.

use std::net::SocketAddr;

use anyhow::Context;

use crate::{Settings, Store, database::Database, process::Process, quantiles::median};

/// Running gateways, and the database they share.
#[derive(Debug, Default)]
pub(crate) struct Nodes {
    processes: Vec<Process>,
    database: Option<Database>,
}

/// CPU time spent, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    /// By all gateways.
    pub(crate) nodes: f64,
    /// By the database's own processes; `None` if the store is a part of the gateway.
    pub(crate) database: Option<f64>,
}

impl Nodes {
    /// Starts them with these variables, with SQLite in the folder `data`; gives the admin key, too.
    pub(crate) async fn start(
        settings: &Settings,
        data: &str,
        mut variables: Vec<(&str, String)>,
    ) -> anyhow::Result<(Self, String)> {
        let tidings = &settings.tidings;
        let serve = ["serve", "--listen", "127.0.0.1:0", "--json"];
        let database = match settings.store {
            Store::Sqlite => {
                anyhow::ensure!(settings.nodes == 1, "SQLite takes one node");
                let serve = [&serve[..], &["--data-dir", data]].concat();
                let process = Process::start(tidings, &serve, &variables).await?;
                let file = process.hello["admin_key_file"].as_str();
                let file = file.with_context(|| format!("no key file in {}", process.hello))?;
                let key = std::fs::read_to_string(file)?.trim().to_owned();
                let nodes = Self {
                    processes: vec![process],
                    database: None,
                };
                return Ok((nodes, key));
            }
            Store::Postgres => Database::start(tidings).await?,
        };
        variables.extend(database.variables.iter().cloned());
        let mut processes = Vec::new();
        for number in 1..=settings.nodes {
            let mut variables = variables.clone();
            variables.push(("TIDINGS__POSTGRES__NODE", format!("node-{number}")));
            // All are reached by Graph at the first, where a load balancer would be.
            let public = match processes.first() {
                Some(first) => Some(format!("http://{}/", address(first)?)),
                None => None,
            };
            let mut serve = serve.to_vec();
            serve.extend(public.iter().flat_map(|url| ["--public-url", url.as_str()]));
            processes.push(Process::start(tidings, &serve, &variables).await?);
        }
        let key = database.admin_key.clone();
        let database = Some(database);
        Ok((
            Self {
                processes,
                database,
            },
            key,
        ))
    }

    /// Where each listens.
    pub(crate) fn addresses(&self) -> anyhow::Result<Vec<SocketAddr>> {
        self.processes.iter().map(address).collect()
    }

    /// CPU time spent so far, by the gateways and by the database.
    pub(crate) fn spent(&self) -> anyhow::Result<Spent> {
        Ok(Spent {
            nodes: self.cpu_ms()?,
            database: self.database.as_ref().map(Database::cpu_ms).transpose()?,
        })
    }

    /// CPU time that the gateways have spent so far in user and kernel, in milliseconds.
    pub(crate) fn cpu_ms(&self) -> anyhow::Result<f64> {
        self.processes.iter().map(Process::cpu_ms).sum()
    }

    /// Resident memory now, of all gateways, in MiB.
    pub(crate) fn rss_mib(&self) -> anyhow::Result<f64> {
        self.processes.iter().map(Process::rss_mib).sum()
    }

    /// The most resident memory so far, of each gateway, added up, in MiB.
    pub(crate) fn peak_rss_mib(&self) -> anyhow::Result<f64> {
        self.processes.iter().map(Process::peak_rss_mib).sum()
    }

    /// Kills them, and the database after them.
    pub(crate) async fn kill(self) -> anyhow::Result<()> {
        for process in self.processes {
            process.kill().await?;
        }
        drop(self.database);
        Ok(())
    }
}

impl Spent {
    /// What was spent since `before`, for each of `count`.
    pub(crate) fn each(self, before: Self, count: f64) -> Self {
        Self {
            nodes: (self.nodes - before.nodes) / count,
            database: self
                .database
                .zip(before.database)
                .map(|(now, before)| (now - before) / count),
        }
    }
}

/// Where a gateway listens, by its first line.
pub(crate) fn address(process: &Process) -> anyhow::Result<SocketAddr> {
    let url = process.hello["listening"].as_str();
    let url = url.with_context(|| format!("no `listening` in {}", process.hello))?;
    Ok(url.trim_start_matches("http://").parse()?)
}

/// The figures of a report on what each notification cost.
pub(crate) fn cpu_figures(each: &[Spent]) -> Vec<(&'static str, f64)> {
    let nodes: Vec<f64> = each.iter().map(|spent| spent.nodes).collect();
    let database: Vec<f64> = each.iter().filter_map(|spent| spent.database).collect();
    let mut figures = vec![("CPU-ms each", median(&nodes))];
    if !database.is_empty() {
        figures.push(("PostgreSQL CPU-ms each", median(&database)));
    }
    figures
}
