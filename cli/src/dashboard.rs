//! `ika dashboard …`: where it is, and its password.

use std::io;

use client::{Cluster, Error, PasswordHash, Result, draw_password};
use serde_json::json;

use crate::{arguments::DashboardCommand, console::Console};

/// Carries a command out.
pub(crate) async fn carry_out(cluster: &Cluster, command: &DashboardCommand, console: Console) -> Result<()> {
    match command {
        DashboardCommand::Url => {
            let url = cluster.dashboard_url().await?;
            let missing = "no manager has served a dashboard; `ika mgr run --dashboard-port PORT` does";
            let url = url.ok_or_else(|| Error::not_found(missing))?;
            console.show(|| format!("{url}\n"), || json!({ "url": url }))
        }
        DashboardCommand::Password { stdin: true } => {
            let mut line = String::new();
            io::stdin()
                .read_line(&mut line)
                .map_err(|error| Error::invalid(format!("read the password from standard input: {error}")))?;
            cluster.set_dashboard_password(&PasswordHash::of(line.trim_end_matches(['\r', '\n']))?).await?;
            console.remark("the password is set; sessions end within seconds");
            Ok(())
        }
        DashboardCommand::Password { stdin: false } => {
            let password = draw_password()?;
            cluster.set_dashboard_password(&PasswordHash::of(&password)?).await?;
            console.show(|| format!("{password}\n"), || json!({ "password": password }))
        }
    }
}
