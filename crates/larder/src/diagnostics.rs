//! What libraries say by `tracing`, shown like everything else.

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
        let mut message = Message(String::new());
        event.record(&mut message);
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => Level::Error,
            tracing::Level::WARN => Level::Warning,
            tracing::Level::INFO => Level::Info,
            _ => Level::Trace,
        };
        self.ui.note(level, &message.0);
    }
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
