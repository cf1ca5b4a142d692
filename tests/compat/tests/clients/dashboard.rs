//! The manager's pages as a browser and Prometheus see them.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use client::Cluster;
use tests_compat::{Browser, Scheme, Tools, complaints_of_promtool, get_text};
use tests_daemons::TestCluster;

/// Bytes of each OSD's device.
const OSD_BYTES: u64 = 3 << 30;
/// How long a dead OSD may go unseen.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

/// Complaints of promtool's lint that follow from the names of Ceph (decision 0091), by the metric's name.
fn is_cephs_own(name: &str, complaint: &str) -> bool {
    let counters = ["_rd", "_wr", "_rd_bytes", "_wr_bytes", "_recovered", "recovery_bytes"];
    name.starts_with("ceph_")
        && match complaint {
            "counter metrics should have \"_total\" suffix" => counters.iter().any(|end| name.ends_with(end)),
            "non-counter metrics should not have \"_total\" suffix" => name == "ceph_pg_total",
            other => {
                let units = ["_latency_ms", "_per_sec"];
                units.iter().any(|end| name.ends_with(end)) && other.contains("unit")
            }
        }
}

#[tokio::test]
async fn the_dashboard_lives_in_a_browser() -> Result<()> {
    let cluster = TestCluster::start_with_s3(3, 3, OSD_BYTES).await?;
    let tools = Tools::new()?;
    let client = cluster.connect().await?;
    let url = url_of(&client).await?;
    check_metrics(&tools, &url).await?;
    let Some(browser) = Browser::start(&tools, cluster.scratch()).await? else { return Ok(()) };
    sign_in(&browser, &cluster, &url).await?;
    follow_load(&browser, &cluster).await?;
    see_a_dead_osd(&browser, &cluster).await?;
    hand_over(&browser, &cluster, &client, &url).await?;
    let strangers: Vec<String> =
        browser.requests().await?.into_iter().filter(|address| !address.starts_with("http://127.0.0.1:")).collect();
    ensure!(
        strangers.iter().all(|address| address.starts_with("data:") || address.starts_with("chrome")),
        "{strangers:?}"
    );
    Ok(())
}

/// The address of the dashboard, once a manager has told it.
async fn url_of(client: &Cluster) -> Result<String> {
    let begun = telemetry::clock::boot_clock_now();
    loop {
        if let Some(url) = client.dashboard_url().await? {
            return Ok(url);
        }
        ensure!(
            telemetry::clock::boot_clock_now().since(begun) < Duration::from_secs(30),
            "no dashboard was announced"
        );
        let again = telemetry::clock::boot_clock_now() + Duration::from_millis(200);
        tokio::time::sleep_until(telemetry::clock::instant_of(again).into()).await;
    }
}

async fn check_metrics(tools: &Tools, url: &str) -> Result<()> {
    let text = get_text(&format!("{url}metrics")).await?;
    for name in ["ceph_osd_up{ceph_daemon=\"osd.2\"} 1", "ceph_pg_total{", "ceph_pool_metadata{", "ika_mgr_active 1"] {
        ensure!(text.lines().any(|line| line.starts_with(name)), "{name} is not in\n{text}");
    }
    for (name, complaint) in complaints_of_promtool(tools, &text)?.unwrap_or_default() {
        ensure!(is_cephs_own(&name, &complaint), "promtool says `{name} {complaint}`");
    }
    Ok(())
}

async fn sign_in(browser: &Browser, cluster: &TestCluster, url: &str) -> Result<()> {
    browser.open(url).await?;
    browser.wait_until("document.querySelector('#password')").await?;
    browser.type_into("#password", "not the password\u{e007}").await?;
    browser.wait_until("document.querySelector('.refusal').textContent.includes('not the password')").await?;
    // Browsers call this refusal an error; there must be no other.
    let errors = browser.console_errors().await?;
    ensure!(errors.len() == 1 && errors[0].contains("401"), "{errors:?}");
    browser.run("document.querySelector('#password').value = ''", serde_json::json!([])).await?;
    browser.type_into("#password", &format!("{}\u{e007}", cluster.dashboard_password()?)).await?;
    browser.wait_until("document.querySelector('#status')?.textContent === 'HEALTH_OK'").await?;
    browser.wait_until("document.querySelector('#osds').textContent.startsWith('3 of 3 up')").await?;
    let errors = browser.console_errors().await?;
    ensure!(errors.is_empty(), "{errors:?}");
    Ok(())
}

/// Numbers follow what clients do, without a reload.
async fn follow_load(browser: &Browser, cluster: &TestCluster) -> Result<()> {
    let objects = "document.querySelector('#objects b').textContent";
    let before = browser.value(objects).await?;
    browser.run("window.loadedOnce = true", serde_json::json!([])).await?;
    // Small writes: on a fast disk large ones would fill the devices, and health would never be good again.
    let mut load = Command::new(cluster.program())
        .args(["object", "-p", "test", "bench", "12", "write", "-b", "4096", "-t", "8", "--no-cleanup"])
        .env("IKA_CONFIG", cluster.path().join("ika.toml"))
        .stdout(Stdio::null())
        .spawn()
        .context("start the load")?;
    let followed = async {
        browser.wait_until("parseFloat(document.querySelector('[data-figure=write_ops]').textContent) > 0").await?;
        browser.wait_until(&format!("{objects} !== {before}")).await?;
        browser.wait_until("document.querySelector('#io canvas')").await
    }
    .await;
    let ended = load.wait().context("wait for the load")?;
    followed?;
    ensure!(ended.success(), "the load failed: {ended}");
    take_pictures(browser).await?;
    ensure!(browser.value("window.loadedOnce").await? == true, "the page was loaded again");
    let wider = "document.documentElement.scrollWidth > document.documentElement.clientWidth";
    browser.show_as(390, 844, Scheme::Light).await?;
    ensure!(browser.value(wider).await? == false, "a phone must scroll sideways");
    browser.show_as(1440, 1000, Scheme::Light).await?;
    let errors = browser.console_errors().await?;
    ensure!(errors.is_empty(), "{errors:?}");
    Ok(())
}

/// Where `IKA_PICTURES` names a folder, pictures go there.
async fn take_pictures(browser: &Browser) -> Result<()> {
    let Some(folder) = std::env::var_os("IKA_PICTURES") else { return Ok(()) };
    fs::create_dir_all(&folder).context("make the folder of pictures")?;
    let views =
        [("light", 1440, 1500, Scheme::Light), ("dark", 1440, 1500, Scheme::Dark), ("phone", 390, 2400, Scheme::Dark)];
    for (name, width, height, scheme) in views {
        browser.show_as(width, height, scheme).await?;
        // One more snapshot is drawn in the new size and colours.
        let epoch = browser.value("performance.now()").await?;
        browser.wait_until(&format!("performance.now() > {epoch} + 2500")).await?;
        browser.picture(&Path::new(&folder).join(format!("{name}.png"))).await?;
    }
    Ok(())
}

async fn see_a_dead_osd(browser: &Browser, cluster: &TestCluster) -> Result<()> {
    cluster.kill("osd.1").await?;
    let took = browser.wait_until("document.querySelector('[data-osd=\"1\"]').dataset.up === 'false'").await?;
    ensure!(took < SEEN_WITHIN, "a dead OSD was seen after {took:?}");
    let took_health = browser.wait_until("document.querySelector('#health').textContent.includes('OSD_DOWN')").await?;
    ensure!(took + took_health < SEEN_WITHIN, "health told of a dead OSD after {:?}", took + took_health);
    browser.wait_until("document.querySelector('.squares i.degraded')").await?;
    eprintln!("a killed OSD was shown after {took:?}, in health after {:?}", took + took_health);
    cluster.start_daemon("osd.1")?;
    browser.wait_until("document.querySelector('#osds').textContent.startsWith('3 of 3 up')").await?;
    browser.wait_until("document.querySelector('#status').textContent === 'HEALTH_OK'").await?;
    let errors = browser.console_errors().await?;
    ensure!(errors.is_empty(), "{errors:?}");
    Ok(())
}

/// A second manager stands by, and the page goes on with it, the session too, when the first one dies.
async fn hand_over(browser: &Browser, cluster: &TestCluster, client: &Cluster, url: &str) -> Result<()> {
    let mut standby = Command::new(cluster.program())
        .args(["mgr", "run", "--id", "y", "--dashboard-port", "0", "--data"])
        .arg(cluster.path().join("mgr.y"))
        .arg("--log")
        .arg(cluster.path().join("log/mgr.y.log"))
        .arg("--config")
        .arg(cluster.path().join("ika.toml"))
        .stdout(Stdio::null())
        .spawn()
        .context("start a second manager")?;
    let watched = async {
        client.wait_for(|map| map.managers.standbys.contains_key("y")).await?;
        browser.wait_until("document.querySelector('#daemons').textContent.includes('y')").await?;
        cluster.kill("mgr.x").await?;
        client.wait_for(|map| map.managers.active.as_ref().is_some_and(|active| active.name == "y")).await?;
        let begun = telemetry::clock::boot_clock_now();
        let other = loop {
            let now = url_of(client).await?;
            if now != url {
                break now;
            }
            ensure!(telemetry::clock::boot_clock_now().since(begun) < Duration::from_secs(30), "mgr.y said nothing");
            let again = telemetry::clock::boot_clock_now() + Duration::from_millis(200);
            tokio::time::sleep_until(telemetry::clock::instant_of(again).into()).await;
        };
        // The first one comes back, and stands by: it sends browsers on and tells Prometheus of itself.
        cluster.start_daemon("mgr.x")?;
        client.wait_for(|map| map.managers.standbys.contains_key("x")).await?;
        let figures = get_text(&format!("{url}metrics")).await?;
        ensure!(figures.contains("ika_mgr_active 0") && !figures.contains("ceph_"), "{figures}");
        browser.open(url).await?;
        browser.wait_until(&format!("location.href === '{other}'")).await?;
        // Ports do not tell cookies apart, and any manager knows the signature: still signed in.
        browser.wait_until("document.querySelector('#osds')?.textContent.startsWith('3 of 3 up')").await?;
        Ok(())
    }
    .await;
    let ended = standby.kill().and_then(|()| standby.wait());
    if let Err(error) = ended {
        bail!("end the second manager: {error}");
    }
    watched
}
