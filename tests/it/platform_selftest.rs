//! The platforms start, and say of orders that nobody made what they should.

use serde_json::json;

use crate::platform::Platform;

#[tokio::test]
async fn the_platforms_start_with_nothing() {
    let platform = Platform::start().await;
    let facts = platform.facts().await;
    for kind in ["orders", "refunds", "transfers"] {
        assert_eq!(facts[kind], json!([]));
    }
    assert_eq!(platform.refusals().await.len(), 0);
    let config = platform.payments_config();
    assert_eq!(config.wechat.base_url, platform.base_url());
    assert!(config.wechat.private_key.exists() && config.alipay.private_key.exists());
    assert!(config.unionpay.private_key.exists());
}

#[tokio::test]
async fn the_platforms_do_as_they_are_told() {
    let platform = Platform::start().await;
    platform.set_clock_ms(1_704_067_200_000).await;
    assert_eq!(platform.facts().await["now_ms"], 1_704_067_200_000_i64);
    platform.notify_by_hand().await;
    assert_eq!(platform.pay("wechat", "X0000001").await, Err("unknown".to_owned()));
    assert_eq!(platform.confirm("X0000001").await, Err("unknown".to_owned()));
    platform.deliver("payment", "X0000001", "plain").await.unwrap_err();
    platform.chaos(1, 0.2).await;
    platform.fault("*", "*", "status_500", None).await;
    let client = crate::mailbox::client();
    let answer = client.get(format!("{}/v3/certificates", platform.base_url())).send().await.unwrap();
    assert_eq!(answer.status(), 500);
    platform.down(true).await;
    client.get(format!("{}/v3/certificates", platform.base_url())).send().await.unwrap_err();
    platform.down(false).await;
    platform.clear_faults().await;
    let answer = client.get(format!("{}/v3/certificates", platform.base_url())).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    platform.quiet().await;
    platform.post("reset", json!({})).await;
}
