//! What types promise to programs that spawn and share them.

use std::future::Future;

use symbolon::tokio::{Device, Handle, Listener, RawSubscription, Runner, Subscription};
use symbolon::{Identity, Kind, Topic};

use super::{Double, Doubled, over_tcp};

#[derive(minicbor::Decode, minicbor::Encode)]
struct Value;

impl Topic for Value {
    const TOPIC: &'static str = "value";
    const KIND: Kind = Kind::State;
}

fn assert_shared<T: Clone + Send + Sync + 'static>() {}
fn assert_sent<T: Send + 'static>() {}
fn assert_stream<T: futures_core::Stream + Send + Unpin + 'static>() {}
fn assert_future_sent<F: Future + Send>(_: impl FnOnce() -> F) {}

#[test]
fn handles_and_devices_are_shared_and_all_else_is_sent() {
    assert_shared::<Handle>();
    assert_shared::<Device>();
    assert_sent::<Runner>();
    assert_sent::<Listener>();
    assert_stream::<RawSubscription>();
    assert_stream::<Subscription<Value>>();
}

/// Compiled, never run.
#[allow(dead_code)]
fn futures_are_sent(device: &Device, handle: &Handle, listener: &mut Listener, runner: Runner) {
    let peer = device.peer_id();
    assert_future_sent(|| device.connect("127.0.0.1:1", peer));
    assert_future_sent(|| device.dial("127.0.0.1:1", peer));
    assert_future_sent(|| device.listen("127.0.0.1:0"));
    assert_future_sent(|| device.publish(&Value));
    assert_future_sent(|| handle.call(&Double(1)));
    assert_future_sent(|| handle.call_raw("echo", b"", None));
    assert_future_sent(|| handle.describe());
    assert_future_sent(|| handle.subscribe::<Value>());
    assert_future_sent(|| handle.connected());
    assert_future_sent(|| handle.closed());
    assert_future_sent(|| handle.close());
    assert_future_sent(|| listener.accept());
    assert_future_sent(|| runner.run());
}

/// The file holds who a device is: the next start is the same peer.
#[tokio::test]
async fn a_device_keeps_its_identity_in_a_file() {
    let folder = std::env::temp_dir().join(format!("symbolon-device-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("identity");
    let first = Identity::load_or_create(&path).unwrap().peer_id();
    let dialled = Device::builder(Identity::load_or_create(&path).unwrap())
        .admit(|_| true)
        .on(|_, Double(number)| async move { Ok(Doubled(number * 2)) })
        .build()
        .unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(dialled.peer_id(), first);
    let (a, _b) = over_tcp(&super::device(1), &dialled).await;
    assert_eq!(a.peer(), Some(first));
    assert_eq!(a.call(&Double(2)).await, Ok(Doubled(4)));
}
