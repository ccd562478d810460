//! Shows what libraries say by `tracing` like everything else.

use std::{fmt, sync::Arc};

use larder_trace::Level;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
};
use tracing_subscriber::{
    Registry,
    layer::{Context, Layer, SubscriberExt},
};

use crate::ui::Ui;

/// Sends what larder's libraries say to `ui`: information, and with `verbose` also details.
pub fn install(ui: Arc<Ui>, verbose: u8) {
    let least = match verbose {
        0 => LevelFilter::INFO,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    // Only the first subscriber of a process counts; this is the only one there is.
    let _ = tracing::subscriber::set_global_default(Registry::default().with(ToUi { ui, least }));
}

struct ToUi {
    ui: Arc<Ui>,
    least: LevelFilter,
}

impl<S: Subscriber> Layer<S> for ToUi {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target().starts_with("larder") && *metadata.level() <= self.least
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warning,
            tracing::Level::INFO => Level::Info,
            _ => Level::Trace,
        };
        self.ui.note(level, &said.to_string());
    }
}

/// An event's fields, shown as `MESSAGE (NAME: VALUE, …)`.
#[derive(Default)]
struct Said {
    message: String,
    fields: Vec<String>,
}

impl Said {
    fn add(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = value,
            name => self.fields.push(format!("{name}: {value}")),
        }
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, value.to_string());
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.message.as_str(), self.fields.as_slice()) {
            (message, []) => f.write_str(message),
            ("", fields) => f.write_str(&fields.join(", ")),
            (message, fields) => write!(f, "{message} ({})", fields.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    struct Collect(Arc<Mutex<Vec<String>>>);

    impl<S: Subscriber> Layer<S> for Collect {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            let mut said = Said::default();
            event.record(&mut said);
            self.0.lock().unwrap().push(said.to_string());
        }
    }

    #[test]
    fn fields_follow_the_message() {
        let said = Arc::new(Mutex::new(Vec::new()));
        let subscriber = Registry::default().with(Collect(said.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("plain");
            tracing::info!(artifact = "ab12", size = 3, why = %"a \"b\"", "corrupt");
            tracing::info!(path = ?"a b");
        });
        let said = said.lock().unwrap();
        assert_eq!(
            *said,
            ["plain", "corrupt (artifact: ab12, size: 3, why: a \"b\")", "path: \"a b\""]
        );
    }
}
