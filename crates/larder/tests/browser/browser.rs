//! A browser: Debian's Chromium without a window, driven through its driver.

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    thread,
};

use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource, KeyAction, KeyActions},
    wd::{WebDriverCompatibleCommand, WindowHandle},
};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use larder_testkit::{tools::require, wait::wait_until};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use url::Url;

/// How a browser behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As most do.
    Usual,
    /// Pages run no script.
    WithoutScripts,
    /// A page that is opened is not waited for.
    Impatient,
}

/// A browser with one window, which ends with the test.
pub struct Browser {
    client: Client,
    runtime: Runtime,
    /// Ends after the client.
    _driver: Driver,
}

impl Browser {
    /// Starts one; `None` where there is none, outside of CI.
    pub fn start(manner: Manner) -> Option<Self> {
        if !require("chromium") || !require("chromedriver") {
            return None;
        }
        let driver = Driver::start();
        let runtime = Runtime::new().unwrap();
        let capabilities = capabilities(manner);
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities.as_object().unwrap().clone());
        let client = runtime.block_on(builder.connect(&driver.address)).unwrap();
        Some(Self { client, runtime, _driver: driver })
    }

    /// Opens an address.
    #[track_caller]
    pub fn open(&self, address: &str) {
        self.runtime.block_on(self.client.goto(address)).unwrap();
    }

    /// The address of the page.
    pub fn address(&self) -> String {
        self.runtime.block_on(self.client.current_url()).unwrap().to_string()
    }

    /// The title of the page.
    pub fn title(&self) -> String {
        self.runtime.block_on(self.client.title()).unwrap()
    }

    /// The window that is looked at.
    pub fn window(&self) -> WindowHandle {
        self.runtime.block_on(self.client.window()).unwrap()
    }

    /// Looks at another window, which is new.
    pub fn another_window(&self) {
        let window = self.runtime.block_on(self.client.new_window(true)).unwrap().handle;
        self.switch_to(window);
    }

    /// Looks at a window again.
    pub fn switch_to(&self, window: WindowHandle) {
        self.runtime.block_on(self.client.switch_to_window(window)).unwrap();
    }

    /// The value of a JavaScript expression.
    #[track_caller]
    pub fn value(&self, expression: &str) -> Value {
        self.execute(&format!("return {expression}"))
    }

    /// Runs a script in the page; what it promises is waited for.
    #[track_caller]
    pub fn execute(&self, script: &str) -> Value {
        let done = self.runtime.block_on(self.client.execute(script, Vec::new()));
        done.unwrap_or_else(|error| panic!("{error}: {script:.200}"))
    }

    /// The text of each element that is chosen, as it is seen.
    #[track_caller]
    pub fn texts(&self, selector: &str) -> Vec<String> {
        self.runtime.block_on(async {
            let mut texts = Vec::new();
            for element in self.client.find_all(Locator::Css(selector)).await.unwrap() {
                // What has gone from the page meanwhile has no text.
                texts.extend(element.text().await.ok());
            }
            texts
        })
    }

    /// All text of the page, as it is seen.
    #[track_caller]
    pub fn text(&self) -> String {
        self.texts("body").concat()
    }

    /// Waits until the page says this.
    #[track_caller]
    pub fn waits_for(&self, text: &str) {
        wait_until(&format!("the page says {text:?}"), || self.text().contains(text));
    }

    /// Types into a field.
    #[track_caller]
    pub fn type_into(&self, selector: &str, text: &str) {
        self.runtime.block_on(async {
            let field = self.client.find(Locator::Css(selector)).await.unwrap();
            field.send_keys(text).await.unwrap();
        });
    }

    /// Clicks on an element.
    #[track_caller]
    pub fn click(&self, selector: &str) {
        self.runtime.block_on(async {
            let element = self.client.find(Locator::Css(selector)).await.unwrap();
            element.click().await.unwrap();
        });
    }

    /// Presses a key.
    #[track_caller]
    pub fn press(&self, key: fantoccini::key::Key) {
        let value = key.into();
        let keys = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value })
            .then(KeyAction::Up { value });
        self.runtime.block_on(self.client.perform_actions(keys)).unwrap();
    }

    /// Shows pages as somebody wants to see them who prefers `light` or `dark`.
    pub fn prefer(&self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Makes the window so large, in CSS pixels.
    pub fn resize(&self, width: u32, height: u32) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size);
    }

    /// What is seen, as PNG.
    pub fn screenshot(&self) -> Vec<u8> {
        self.runtime.block_on(self.client.screenshot()).unwrap()
    }

    /// What the console says that was not asked before.
    pub fn console(&self) -> Vec<String> {
        let entries = self.log("browser");
        entries.iter().map(|entry| entry["message"].as_str().unwrap().to_owned()).collect()
    }

    /// The addresses that were requested since this was asked before.
    pub fn requests(&self) -> Vec<String> {
        let entries = self.log("performance").into_iter().map(|entry| {
            let message = entry["message"].as_str().unwrap();
            serde_json::from_str::<Value>(message).unwrap()["message"].take()
        });
        let sent = entries.filter(|it| it["method"] == "Network.requestWillBeSent");
        sent.map(|it| it["params"]["request"]["url"].as_str().unwrap().to_owned()).collect()
    }

    fn log(&self, kind: &'static str) -> Vec<Value> {
        let entries = self.command("se/log", json!({ "type": kind }));
        entries.as_array().unwrap().clone()
    }

    /// Has the browser's own protocol do something.
    fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.command("goog/cdp/execute", json!({ "cmd": command, "params": parameters }))
    }

    fn command(&self, path: &'static str, body: Value) -> Value {
        self.runtime.block_on(self.client.issue_cmd(Vendors { path, body })).unwrap()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends what is left.
        _ = self.runtime.block_on(self.client.clone().close());
    }
}

/// A command that only this driver knows.
#[derive(Debug)]
struct Vendors {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Vendors {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

fn capabilities(manner: Manner) -> Value {
    // No sandbox: it needs rights that containers do not have, and the pages are the test's own.
    let arguments = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-breakpad",
        "--disable-component-update",
        "--disable-background-networking",
        "--no-first-run",
        "--hide-scrollbars",
        "--window-size=1280,1000",
        "--lang=en",
    ];
    let preferences = match manner {
        Manner::WithoutScripts => {
            json!({ "profile.managed_default_content_settings.javascript": 2 })
        }
        Manner::Usual | Manner::Impatient => json!({}),
    };
    json!({
        "browserName": "chrome",
        "pageLoadStrategy": if manner == Manner::Impatient { "none" } else { "normal" },
        "goog:chromeOptions": { "args": arguments, "prefs": preferences },
        "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
    })
}

/// The program that drives the browser.
struct Driver {
    child: Child,
    address: String,
    /// Where both keep their files.
    _home: TempDir,
}

impl Driver {
    fn start() -> Self {
        let home = TempDir::new().unwrap();
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").env("HOME", home.path()).env("TMPDIR", home.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        // A group, so that nothing of it outlives the test.
        let mut child = command.process_group(0).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let port = loop {
            let mut line = String::new();
            assert!(output.read_line(&mut line).unwrap() > 0, "chromedriver ended");
            if let Some((_, port)) = line.split_once("successfully on port ") {
                break port.trim().trim_end_matches('.').to_owned();
            }
        };
        thread::spawn(move || _ = output.read_to_end(&mut Vec::new()));
        Self { child, address: format!("http://127.0.0.1:{port}"), _home: home }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        _ = self.child.wait();
    }
}
