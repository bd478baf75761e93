//! Links that stand and are not what they were made to be: `dropbed link set`, or
//! anybody else who speaks to the proxy, has changed them.

use std::collections::HashMap;

use super::UpError;
use crate::testbed::live::Live;
use crate::testbed::plan::Plan;
use crate::testbed::scenario::link::toxics::drift;
use crate::toxiproxy::client::{Client, ClientError};

/// By the link's name, what is otherwise than `plan`, from which it was made. Only reads.
pub(super) async fn drifted(live: &Live, plan: &Plan) -> Result<HashMap<String, String>, UpError> {
    let failed = |error: ClientError| {
        UpError::harness(format!(
            "reading the links of {} at its proxy: {error}\n  hint: is it paused or stuck? \
             `dropbed down --run {}`, then `dropbed up` again",
            live.name, live.name
        ))
    };
    let client = Client::new(&live.proxy_api).map_err(failed)?;
    let is_bundled = client.version().await.map_err(failed)?.is_bundled;
    let proxies = client.proxies().await.map_err(failed)?;
    let mut drifted = HashMap::new();
    for (index, link) in plan.links.iter().enumerate() {
        let Some(place) = live.link(&link.name) else { continue };
        let what = match proxies.get(link.name.as_str()) {
            None => Some("its proxy listener is gone".to_owned()),
            Some(found) => drift(link, plan.rated(index), place.correction_us, found, is_bundled),
        };
        if let Some(what) = what {
            drifted.insert(link.name.to_string(), format!("changed from outside: {what}"));
        }
    }
    Ok(drifted)
}
