use super::*;

fn read(text: &str) -> Result<Config, ConfigError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    Config::read(file.path())
}

const TWO: &str = r#"
    [cache]
    default-service = "team"
    default-upload-service = "ci"
    [[cache.service]]
    name = "team"
    url = "s3://bucket/prefix"
    endpoint = "http://127.0.0.1:9000"
    anonymous-reads = true
    [[cache.service]]
    name = "ci"
    url = "file:///srv/cache"
"#;

#[test]
fn services_are_found_by_name_and_by_default() {
    let config = read(TWO).unwrap();
    assert_eq!(config.service(None).unwrap().name, "team");
    assert_eq!(config.upload_service(None).unwrap().name, "ci");
    assert_eq!(config.upload_service(Some("team")).unwrap().name, "team");
    let error = config.service(Some("taem")).unwrap_err().to_string();
    assert_eq!(error, "no service is named \"taem\"; configured are: team, ci");
    let none = Config::read(Path::new("/nonexistent/config.toml")).unwrap();
    assert!(matches!(none.service(None), Err(ConfigError::NoService { .. })));
}

#[test]
fn every_key_is_documented() {
    let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/services.md");
    let docs = fs::read_to_string(docs).unwrap();
    let error = |table| read(&format!("{table}\nnonsense = 1\n")).unwrap_err().to_string();
    let tables = [
        "[cache]",
        "[[cache.service]]\nname = 'a'\nurl = 'file:///a'",
        "[[cache.dependency]]\npackage = 'a'",
        "[[cache.trust]]\nname = 'a'",
    ];
    for table in tables {
        let error = error(table);
        let (_, keys) = error.split_once("expected one of ").unwrap();
        let keys: Vec<_> = keys.split('`').skip(1).step_by(2).collect();
        assert!(keys.len() > 2, "{error}");
        for key in keys {
            assert!(docs.contains(&format!("\n| `{key}` |")), "docs/services.md lacks {key}");
        }
    }
}

#[test]
fn patience_has_an_old_name() {
    let read = |text: &str| {
        let text = format!("[[cache.service]]\nname = 'a'\nurl = 'file:///a'\n{text}");
        let service = read(&text).unwrap().cache.services.remove(0);
        (service.answer().as_secs(), service.stall().as_secs())
    };
    assert_eq!(read(""), (10, 10));
    assert_eq!(read("timeout-seconds = 30"), (30, 30));
    assert_eq!(read("timeout-seconds = 30\nanswer-seconds = 5"), (5, 30));
    assert_eq!(read("answer-seconds = 0\nstall-seconds = 60"), (1, 60));
}

#[test]
fn a_key_without_a_name_is_not_sent_to_several_hosts() {
    let credentials = Arc::new(Credentials::of([
        ("LARDER_CACHE_KEY", "id:secret"),
        ("LARDER_CACHE_TOKEN_MY_MIRROR", "token"),
    ]));
    let has = |urls: [&str; 2]| {
        let mut config = Config::default();
        for (name, url) in ["team", "my-mirror"].into_iter().zip(urls) {
            config.cache.services.push(ServiceConfig::new(name, url));
        }
        let config = config.with_credentials(&credentials);
        let has = |at: usize| config.cache.services[at].credentials.key().unwrap().is_some();
        assert_eq!(config.cache.services[1].credentials.token().unwrap(), Some("token"));
        (has(0), has(1))
    };
    assert_eq!(has(["s3://bucket", "https://a.example"]), (true, false));
    assert_eq!(has(["https://b.example", "https://a.example/x"]), (false, false));
    assert_eq!(has(["https://a.example/y", "https://a.example/x"]), (true, false));
    assert_eq!(has(["https://a.example/y", "file:///srv"]), (true, false));
}

#[test]
fn no_message_has_a_part_of_a_secret_in_a_url() {
    for text in [
        "[[cache.service]]\nname = 'a'\nurl = 'https://user:hunter2@example.org/x\n",
        "[[cache.service]]\nname = 'a'\nurl = 'https://user:hun/ter2@example.org/'\nx = 1",
        "[[cache.service]]\nname = 'a'\nurl = https://user:hunter2@example.org/",
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(!error.contains("ter2") && !error.contains("user"), "{error}");
    }
}

#[test]
fn mistakes_are_pointed_at() {
    let error = read("[cache]\ndefault-sevice = 'x'\n").unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("default-service"), "{error}");
    assert!(read(&TWO.replace("name = \"ci\"", "name = \"team\"")).is_err());
}
