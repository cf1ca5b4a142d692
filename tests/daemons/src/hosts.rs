//! Hosts made of network namespaces: each with its own interface on one bridge, so that a test can cut them off.
//!
//! The whole network lies in the namespace of the calling process, which must be one of its own (`inside_own_network`):
//! nothing of it is visible to anybody else, and all of it is gone with its processes.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use telemetry::clock::boot_clock_now;

/// Set in the process that was started again in a network of its own.
const INSIDE_VARIABLE: &str = "IKA_TEST_OWN_NETWORK";
/// The address that nobody has: what is sent to it is lost without a word.
const NOBODY: &str = "02:00:00:00:de:ad";
/// How long a namespace may take to exist.
const NAMESPACE_WITHIN: Duration = Duration::from_secs(10);

/// Where a test runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnNetwork {
    /// Here: this process has a network of its own.
    Inside,
    /// The test ran in a process of its own, which ended well.
    Ran,
    /// This machine cannot make networks; the reason was printed.
    Impossible,
}

/// Runs the named test again in a network of its own, unless this is that run.
pub fn inside_own_network(test: &str) -> Result<OwnNetwork> {
    if std::env::var_os(INSIDE_VARIABLE).is_some() {
        run("ip", &["link", "set", "lo", "up"])?;
        return Ok(OwnNetwork::Inside);
    }
    let probe = Command::new("unshare").args(["-n", "ip", "link", "add", "probe0", "type", "veth"]).output();
    match probe {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            println!("no network of its own: {}", String::from_utf8_lossy(&output.stderr).trim());
            return Ok(OwnNetwork::Impossible);
        }
        Err(error) => {
            println!("no network of its own: start unshare: {error}");
            return Ok(OwnNetwork::Impossible);
        }
    }
    let own = std::env::current_exe().context("find the test's own file")?;
    let status = Command::new("unshare")
        .arg("-n")
        .arg(own)
        .args(["--exact", test, "--nocapture", "--include-ignored"])
        .env(INSIDE_VARIABLE, "1")
        .status()
        .context("start the test in a network of its own")?;
    ensure!(status.success(), "the test failed in its own network: {status}");
    Ok(OwnNetwork::Ran)
}

/// The bridge and the hosts on it.
#[derive(Debug)]
pub struct Hosts {
    hosts: Vec<Host>,
}

#[derive(Debug)]
struct Host {
    /// Keeps the namespace alive.
    holder: Child,
}

impl Hosts {
    /// So many hosts on one bridge.
    pub fn start(count: u8) -> Result<Self> {
        run("ip", &["link", "add", "ika0", "type", "bridge"])?;
        run("ip", &["addr", "add", "10.99.0.1/24", "dev", "ika0"])?;
        run("ip", &["link", "set", "ika0", "up"])?;
        let mut this = Self { hosts: Vec::new() };
        for number in 0..count {
            this.add(number)?;
        }
        Ok(this)
    }

    fn add(&mut self, number: u8) -> Result<()> {
        let holder = Command::new("unshare")
            .args(["-n", "sleep", "infinity"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("start a process that holds a namespace")?;
        let pid = holder.id().to_string();
        self.hosts.push(Host { holder });
        wait_for_namespace(&pid)?;
        let outside = interface(usize::from(number));
        run("ip", &["link", "add", &outside, "type", "veth", "peer", "name", "eth0", "netns", &pid])?;
        run("ip", &["link", "set", &outside, "master", "ika0"])?;
        run("ip", &["link", "set", &outside, "up"])?;
        let address = format!("{}/24", self.address(usize::from(number)));
        for arguments in [
            vec!["link", "set", "lo", "up"],
            vec!["addr", "add", &address, "dev", "eth0"],
            vec!["link", "set", "eth0", "up"],
        ] {
            self.run_on(usize::from(number), &arguments)?;
        }
        Ok(())
    }

    /// The address of a host.
    pub fn address(&self, host: usize) -> IpAddr {
        let last = u8::try_from(host).expect("few hosts") + 11;
        IpAddr::from(Ipv4Addr::new(10, 99, 0, last))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.hosts.len()
    }

    /// A command that runs on a host.
    pub fn command(&self, host: usize, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.hosts[host].holder.id().to_string(), "-n", "--"]).arg(program);
        command
    }

    fn run_on(&self, host: usize, arguments: &[&str]) -> Result<()> {
        let pid = self.hosts[host].holder.id().to_string();
        let mut all = vec!["-t", &pid, "-n", "--", "ip"];
        all.extend(arguments);
        run("nsenter", &all)
    }

    /// Nobody hears a host, and it hears nobody.
    pub fn cut_off(&self, host: usize) -> Result<()> {
        run("ip", &["link", "set", &interface(host), "down"])
    }

    /// The host is back.
    pub fn join(&self, host: usize) -> Result<()> {
        run("ip", &["link", "set", &interface(host), "up"])
    }

    /// What `from` sends to `to` is lost; the other way it arrives.
    pub fn lose(&self, from: usize, to: usize) -> Result<()> {
        let to = self.address(to).to_string();
        self.run_on(from, &["neigh", "replace", &to, "lladdr", NOBODY, "dev", "eth0", "nud", "permanent"])
    }

    /// What `from` sends to `to` arrives again.
    pub fn find_again(&self, from: usize, to: usize) -> Result<()> {
        let to = self.address(to).to_string();
        self.run_on(from, &["neigh", "del", &to, "dev", "eth0"])
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for host in &mut self.hosts {
            if let Err(error) = host.holder.kill().and_then(|()| host.holder.wait().map(drop)) {
                eprintln!("could not end a namespace: {error}");
            }
        }
    }
}

fn interface(host: usize) -> String {
    format!("host{host}")
}

fn wait_for_namespace(pid: &str) -> Result<()> {
    let own = fs::read_link("/proc/self/ns/net").context("look at this network")?;
    let deadline = boot_clock_now() + NAMESPACE_WITHIN;
    // `unshare` tells nobody when it is done.
    while fs::read_link(format!("/proc/{pid}/ns/net")).context("look at the new network")? == own {
        if boot_clock_now() >= deadline {
            bail!("no namespace after {NAMESPACE_WITHIN:?}");
        }
        std::thread::yield_now();
    }
    Ok(())
}

fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let shown = || format!("{program} {}", arguments.join(" "));
    let output = Command::new(program).args(arguments).output().with_context(shown)?;
    ensure!(output.status.success(), "`{}` failed: {}", shown(), String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
