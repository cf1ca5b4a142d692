//! A headless Chromium, driven by the WebDriver protocol of its own `chromedriver` over loopback.
//!
//! Only what a test of a page needs: go somewhere, run a script, wait until one says yes, take a picture, and hear what
//! the page said on its console and what it asked of the network.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::Method;
use serde_json::{Value, json};
use telemetry::clock::{boot_clock_now, instant_of};

use crate::{Tools, http::ask};

/// How long a condition on the page is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long a browser may take to end.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(20);
/// The line of chromedriver that names its port.
const PORT_LINE: &str = "was started successfully on port ";

/// Colours that a page is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

/// A browser with one page. Its processes end with it.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

impl Browser {
    /// Starts one; `scratch` holds its profile. `None`, after saying so, where no Chromium can be had.
    pub async fn start(tools: &Tools, scratch: &Path) -> Result<Option<Self>> {
        let (Some(chromium), Some(chromedriver)) =
            (tools.find(crate::Tool::Chromium), tools.find(crate::Tool::Chromedriver))
        else {
            return Ok(None);
        };
        let mut command = Command::new(chromedriver);
        command.arg("--port=0").env("HOME", scratch).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = command.spawn().context("start chromedriver")?;
        let port = match port_of(&mut driver) {
            Ok(port) => port,
            Err(error) => {
                end(&mut driver);
                return Err(error);
            }
        };
        let mut browser = Self { driver, port, session: String::new() };
        let profile = scratch.join("browser");
        let arguments = json!([
            "--headless=new",
            "--no-sandbox",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            "--window-size=1440,1000",
            "--disable-background-networking",
            "--disable-component-update",
            "--no-first-run",
            "--disable-sync",
            "--force-color-profile=srgb",
            format!("--user-data-dir={}", profile.display()),
        ]);
        let options = json!({ "args": arguments, "binary": chromium, "perfLoggingPrefs": { "enableNetwork": true } });
        let capabilities = json!({ "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": options,
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        }});
        let answer = browser.ask(Method::POST, "/session", json!({ "capabilities": capabilities })).await?;
        browser.session = answer["sessionId"].as_str().context("a session has an id")?.to_owned();
        Ok(Some(browser))
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) -> Result<()> {
        self.call("/url", json!({ "url": url })).await.map(drop)
    }

    /// Runs the body of a function in the page; `arguments` are its arguments.
    pub async fn run(&self, script: &str, arguments: Value) -> Result<Value> {
        self.call("/execute/sync", json!({ "script": script, "args": arguments })).await
    }

    /// The value of an expression in the page.
    pub async fn value(&self, expression: &str) -> Result<Value> {
        self.run(&format!("return {expression}"), json!([])).await
    }

    /// Waits until an expression in the page is true; says how long that took.
    pub async fn wait_until(&self, expression: &str) -> Result<Duration> {
        let begun = boot_clock_now();
        while self.value(&format!("Boolean({expression})")).await? != json!(true) {
            if boot_clock_now().since(begun) > PATIENCE {
                let text = self.value("document.body.innerText").await?;
                bail!("`{expression}` did not come true within {} s; the page says {text}", PATIENCE.as_secs());
            }
            tokio::time::sleep_until(instant_of(boot_clock_now() + LOOK_AGAIN).into()).await;
        }
        Ok(boot_clock_now().since(begun))
    }

    /// Types into what a selector names, as a person would.
    pub async fn type_into(&self, selector: &str, text: &str) -> Result<()> {
        let found = self.call("/element", json!({ "using": "css selector", "value": selector })).await?;
        let element = found.as_object().and_then(|found| found.values().next()?.as_str());
        let element = element.with_context(|| format!("nothing is `{selector}`"))?;
        self.call(&format!("/element/{element}/value"), json!({ "text": text })).await.map(drop)
    }

    /// Sets the size of the page, and colours.
    pub async fn show_as(&self, width: u32, height: u32, scheme: Scheme) -> Result<()> {
        let scheme = if scheme == Scheme::Dark { "dark" } else { "light" };
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await?;
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", features).await
    }

    /// Writes a picture of what is shown.
    pub async fn picture(&self, path: &Path) -> Result<()> {
        let answer = self.ask(Method::GET, &format!("/session/{}/screenshot", self.session), Value::Null).await?;
        let bytes = STANDARD.decode(answer.as_str().context("a picture is text")?).context("understand a picture")?;
        fs::write(path, bytes).with_context(|| format!("write {}", path.display()))
    }

    /// What the page said on its console since this was asked last, errors of the network included.
    pub async fn console_errors(&self) -> Result<Vec<String>> {
        let entries = self.call("/se/log", json!({ "type": "browser" })).await?;
        let entries = entries.as_array().context("a log is a list")?;
        let is_bad = |entry: &&Value| entry["level"] == "SEVERE" || entry["level"] == "WARNING";
        Ok(entries.iter().filter(is_bad).map(|entry| entry["message"].to_string()).collect())
    }

    /// Every address that the page asked of the network since this was asked last.
    pub async fn requests(&self) -> Result<Vec<String>> {
        let entries = self.call("/se/log", json!({ "type": "performance" })).await?;
        let mut addresses = Vec::new();
        for entry in entries.as_array().context("a log is a list")? {
            let message = entry["message"].as_str().context("an entry has a message")?;
            let message: Value = serde_json::from_str(message).context("understand an entry of the log")?;
            if message["message"]["method"] == "Network.requestWillBeSent" {
                let url = message["message"]["params"]["request"]["url"].as_str();
                addresses.push(url.context("a request has an address")?.to_owned());
            }
        }
        Ok(addresses)
    }

    async fn devtools(&self, command: &str, parameters: Value) -> Result<()> {
        self.call("/goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await.map(drop)
    }

    async fn call(&self, path: &str, body: Value) -> Result<Value> {
        self.ask(Method::POST, &format!("/session/{}{path}", self.session), body).await
    }

    async fn ask(&self, method: Method, path: &str, body: Value) -> Result<Value> {
        let json = (!body.is_null()).then(|| body.to_string());
        let (status, bytes) = ask(self.port, method, path, json).await?;
        let mut answer: Value = serde_json::from_slice(&bytes).context("understand chromedriver's answer")?;
        ensure!(status.is_success(), "chromedriver refused {path}: {}", answer["value"]["message"]);
        Ok(answer["value"].take())
    }
}

fn port_of(driver: &mut Child) -> Result<u16> {
    let output = driver.stdout.take().context("chromedriver's output is a pipe")?;
    let mut lines = BufReader::new(output).lines();
    for line in lines.by_ref() {
        let line = line.context("read what chromedriver says")?;
        if let Some((_, port)) = line.split_once(PORT_LINE) {
            // It goes on talking; nobody may have to wait until somebody reads it.
            std::thread::spawn(move || lines.for_each(drop));
            return port.trim_end_matches('.').parse().with_context(|| format!("understand `{line}`"));
        }
    }
    bail!("chromedriver ended without naming a port")
}

fn end(driver: &mut Child) {
    // Whether it had ended before does not matter.
    drop(driver.kill());
    drop(driver.wait());
}

impl Drop for Browser {
    /// The session is ended first: chromedriver leaves a browser running when it is merely told to end itself.
    fn drop(&mut self) {
        if let Err(error) = self.end_session() {
            eprintln!("the browser of a test may still run: {error:#}");
        }
        end(&mut self.driver);
    }
}

impl Browser {
    /// Blocks, because a drop cannot wait otherwise.
    fn end_session(&self) -> Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).context("connect to chromedriver")?;
        stream.set_read_timeout(Some(FAREWELL_TIMEOUT)).context("bound the wait for chromedriver")?;
        let (session, port) = (&self.session, self.port);
        write!(stream, "DELETE /session/{session} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n")
            .context("end the session")?;
        // It answers when the browser has ended.
        let mut answer = *b"HTTP/1.1 200";
        stream.read_exact(&mut answer).context("hear that the session ended")?;
        ensure!(answer.ends_with(b" 200"), "chromedriver says {}", String::from_utf8_lossy(&answer));
        Ok(())
    }
}
