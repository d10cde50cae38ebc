//! What a builder says of a mistake: which one it was, and about what.

use std::time::Duration;

use symbolon::blocking::{BuildError, Builder, Device};
use symbolon::name::NameError;
use symbolon::{ConfigError, DeclareError, DescriptionError, Kind, Limits, RouteError};

use super::{identity, timeouts};

fn mistake(build: impl FnOnce(Builder) -> Builder) -> BuildError {
    build(Device::builder(identity(1))).build().unwrap_err()
}

#[test]
fn a_mistake_is_named_with_what_it_is_about() {
    let on = |builder: Builder, method: &str| builder.on_raw(method, |_, body| Ok(body));
    let method = |name: &str, error| BuildError::Method { name: name.into(), error };
    let wildcard = method("lamp/+", RouteError::Name(NameError::Wildcard));
    assert_eq!(mistake(|builder| on(on(builder, "lamp/+"), "$lamp")), wildcard, "the first is told");
    assert_eq!(wildcard.to_string(), r#"method "lamp/+": a wildcard stands where none may be"#);
    assert_eq!(mistake(|builder| on(builder, "$lamp")), method("$lamp", RouteError::Reserved));
    assert_eq!(mistake(|builder| on(on(builder, "a"), "a")), method("a", RouteError::Duplicate));

    let topic = |name: &str, error| BuildError::Topic { name: name.into(), error };
    let declared = |name: &'static str| move |builder: Builder| builder.topic_raw(name, Kind::State);
    let empty = topic("", DeclareError::Name(NameError::Empty));
    assert_eq!(mistake(declared("")), empty);
    assert_eq!(empty.to_string(), r#"topic "": the name is empty"#);
    assert_eq!(mistake(declared("$a")), topic("$a", DeclareError::Reserved));

    let set = |builder: Builder| on(builder.topic_raw("lamp/state", Kind::State), "lamp/set");
    let description =
        |about: &str| BuildError::Description { about: about.into(), error: DescriptionError::Text };
    let escape = description("\u{1b}[2J");
    assert_eq!(mistake(|builder| set(builder).name("\u{1b}[2J")), escape);
    let shown = r#"description of "\u{1b}[2J": a text is empty, too long, or holds a control character"#;
    assert_eq!(escape.to_string(), shown);
    assert_eq!(mistake(|builder| set(builder).describe_method("lamp/set", "")), description("lamp/set"));
    assert_eq!(mistake(|builder| set(builder).describe_topic("lamp/state", "\n")), description("lamp/state"));
    let undeclared = |about: &str| BuildError::Undeclared { about: about.into() };
    assert_eq!(
        mistake(|builder| set(builder).describe_method("lamp/state", "no method")),
        undeclared("lamp/state")
    );
    assert_eq!(
        mistake(|builder| set(builder).describe_topic("lamp/set", "no topic")),
        undeclared("lamp/set")
    );

    let hasty = timeouts(|timeouts| timeouts.probe = Duration::ZERO);
    let probe = BuildError::Config(ConfigError::Timeout("probe"));
    assert_eq!(mistake(|builder| builder.timeouts(hasty)), probe);
    assert_eq!(probe.to_string(), "probe is below 1 ms (silence: 2 ms) or above 4294967295 ms");
    let mut narrow = Limits::default();
    narrow.max_frame = 255;
    assert_eq!(mistake(|builder| builder.limits(narrow)), BuildError::Config(ConfigError::MaxFrame));
}
