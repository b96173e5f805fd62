//! Hostile addresses against the real clients, with a listener that must never hear of them.

use std::{
    io,
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use event_planner_api::outbound::{Outbound, Rules};
use tokio::net::TcpListener;

/// Counts whoever connects, on every address of this machine.
pub async fn canary() -> (u16, Arc<AtomicUsize>) {
    let (listener, port) = loop {
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // The same port for IPv6, where the machine has it.
        match TcpListener::bind(("::1", port)).await {
            Ok(v6) => break (vec![listener, v6], port),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            Err(_) => break (vec![listener], port),
        }
    };
    let heard = Arc::new(AtomicUsize::new(0));
    for listener in listener {
        let heard = heard.clone();
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                heard.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    (port, heard)
}

/// A lookup that answers these addresses, one call after the other, and then the last of them for ever.
pub fn answering(turns: &'static [&'static [&'static str]]) -> Rules {
    let calls = Arc::new(AtomicUsize::new(0));
    let lookup = move |_: String| {
        let turn = calls.fetch_add(1, Ordering::SeqCst).min(turns.len() - 1);
        let found = turns[turn].iter().map(|ip| ip.parse().unwrap()).collect();
        Box::pin(async move { Ok::<Vec<IpAddr>, io::Error>(found) }) as _
    };
    Rules {
        lookup: Arc::new(lookup),
        ..Rules::default()
    }
}

/// Whether an answer came back.
async fn call(outbound: &Outbound, address: &str) -> Result<u16, String> {
    let (client, url) = outbound
        .to(address)
        .map_err(|refused| refused.to_string())?;
    let sent = client
        .post(url)
        .timeout(Duration::from_millis(500))
        .body("x")
        .send();
    sent.await
        .map(|response| response.status().as_u16())
        .map_err(|_| "unreachable".to_owned())
}

/// Addresses that must not be called; `port` is the canary's.
pub fn hostile(port: u16) -> Vec<String> {
    let lines = include_str!("hostile.txt").lines();
    let addresses = lines.filter(|line| !line.is_empty() && !line.starts_with("# "));
    let written = |line: &str| {
        let line = line.replace("PORT", &port.to_string());
        line.replace("\\t", "\t").replace("\\n", "\n")
    };
    addresses.map(written).collect()
}

#[tokio::test]
async fn hostile_addresses_never_reach_the_machine_itself() {
    let (port, heard) = canary().await;
    // Its port is right, so that nothing but the address can be the reason.
    let rules = Rules {
        ports: vec![443, 8443, port],
        ..Rules::default()
    };
    let outbound = Outbound::new(rules).unwrap();
    let addresses = hostile(port);
    assert!(addresses.len() >= 60, "{}", addresses.len());
    for address in addresses {
        let answer = call(&outbound, &address).await;
        assert!(answer.is_err(), "{address:?}: {answer:?}");
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(heard.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_that_leads_inside_is_not_connected_to() {
    const TURNS: &[&[&[&str]]] = &[
        &[&["127.0.0.1"]],
        &[&["::1"]],
        &[&["::ffff:127.0.0.1"]],
        &[&["0.0.0.0"]],
        &[&["169.254.169.254"]],
        // One good address does not make up for a bad one.
        &[&["8.8.8.8", "127.0.0.1"]],
        &[&[]],
    ];
    let (port, heard) = canary().await;
    for found in TURNS {
        let rules = Rules {
            ports: vec![port],
            ..answering(found)
        };
        let outbound = Outbound::new(rules).unwrap();
        let answer = call(&outbound, &format!("https://hooks.example.com:{port}/")).await;
        assert_eq!(answer, Err("unreachable".to_owned()), "{found:?}");
    }
    assert_eq!(heard.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_that_changes_its_mind_is_judged_again() {
    let (port, heard) = canary().await;
    let good = crate::webhooks::Receiver::start().await;
    // 127.0.0.1 is allowed here and stands for a public address; 127.0.0.2 is not.
    let rules = Rules {
        networks: vec!["127.0.0.1/32".parse().unwrap()],
        ..answering(&[&["127.0.0.1"], &["127.0.0.2"]])
    };
    let outbound = Outbound::new(rules).unwrap();
    let first = format!("http://rebind.example.com:{}/", good.port);
    assert_eq!(call(&outbound, &first).await, Ok(200));
    let second = format!("http://rebind.example.com:{port}/");
    assert_eq!(
        call(&outbound, &second).await,
        Err("unreachable".to_owned())
    );
    assert_eq!(heard.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (port, heard) = canary().await;
    let good = crate::webhooks::Receiver::start().await;
    let rules = Rules::within(&["127.0.0.1/32".parse().unwrap()]);
    let outbound = Outbound::new(rules).unwrap();
    for status in [301, 302, 303, 307, 308] {
        for target in ["127.0.0.1", "127.0.0.2", "localhost"] {
            good.redirect(status, &format!("http://{target}:{port}/"));
            let answer = call(&outbound, &good.url()).await;
            assert_eq!(answer, Ok(status));
        }
    }
    assert_eq!(heard.load(Ordering::SeqCst), 0);
}
