//! Pictures of the pages, for `docs/`.

use std::{env, fs, path::Path};

use crate::{
    browser::{Browser, Manner},
    pages::pages,
    scene::{Scene, Server},
};

/// The largest a picture may be, in bytes.
const LARGEST: usize = 150 << 10;

#[test]
fn pictures_are_taken_where_they_are_asked_for() {
    if env::var_os("LARDER_SCREENSHOTS").is_none() {
        return;
    }
    let Some(browser) = Browser::start(Manner::Usual) else { return };
    let scene = Scene::build("expected ';' before '}' token");
    let server = Server::of(&scene.set);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/screenshots");
    fs::create_dir_all(&directory).unwrap();
    let shown = ["overview", "packages", "package", "run", "compare", "log"];
    for page in pages(&scene).iter().filter(|page| shown.contains(&page.name)) {
        for (device, width, height) in [("desktop", 1280, 800), ("phone", 390, 844)] {
            browser.resize(width, height);
            for scheme in ["light", "dark"] {
                browser.prefer(scheme);
                browser.open(&server.at(&page.path));
                let picture = browser.screenshot();
                let name = format!("{}-{device}-{scheme}.png", page.name);
                assert!(picture.len() <= LARGEST, "{name} has {} bytes", picture.len());
                fs::write(directory.join(name), picture).unwrap();
            }
        }
    }
}
