//! Pictures of the pages, for `docs/`.

use std::{env, fs, path::Path};

use larder_testkit::server::Server;

use crate::{
    browser::{Browser, Manner},
    pages::pages,
    scene::Scene,
};

/// The largest a picture may be, in bytes.
const LARGEST: usize = 150 << 10;

/// Pictures of the pages are of the size that they are to have, and small; where `LARDER_SCREENSHOTS` is set they become those
/// of the documentation.
#[test]
fn pictures_are_of_the_right_size() {
    let kept = env::var_os("LARDER_SCREENSHOTS").is_some();
    let Some(browser) = Browser::start(Manner::Usual) else { return };
    let scene = Scene::build("expected ';' before '}' token");
    let server = Server::of(&scene.set);
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/screenshots");
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
                assert_eq!(size(&picture), (width, height), "{name}");
                if kept {
                    fs::create_dir_all(&directory).unwrap();
                    fs::write(directory.join(name), picture).unwrap();
                }
            }
        }
    }
}

/// The width and height of a PNG picture, in pixels: its first chunk has them.
fn size(picture: &[u8]) -> (u32, u32) {
    let number = |at: usize| u32::from_be_bytes(picture[at..at + 4].try_into().unwrap());
    assert_eq!(&picture[12..16], b"IHDR");
    (number(16), number(20))
}
