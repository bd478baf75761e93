//! Calls about toxics.

use reqwest::{Method, StatusCode};

use super::super::api::{Bandwidth, Effect, RateScope, Toxic, ToxicUpdate};
use super::{Client, ClientError, disagreement};

impl Client {
    /// The toxics of a proxy, in order of creation.
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn toxics(&self, proxy: &str) -> Result<Vec<Toxic>, ClientError> {
        let action = format!("list the toxics of proxy {proxy:?}");
        let call = self.call(&action, Method::GET, &["proxies", proxy, "toxics"]);
        let mut toxics: Vec<Toxic> = call.expect_json(StatusCode::OK).await?;
        self.as_meant(&mut toxics).await?;
        Ok(toxics)
    }

    /// Adds a toxic at the end.
    ///
    /// # Errors
    /// [`ClientError::NotBundled`] for what a stock server lacks; any other.
    pub async fn add_toxic(&self, proxy: &str, toxic: &Toxic) -> Result<Toxic, ClientError> {
        let action = format!("add toxic {:?} to proxy {proxy:?}", toxic.name);
        self.check_extensions(&action, &toxic.effect).await?;
        let call = self.call(&action, Method::POST, &["proxies", proxy, "toxics"]).body(toxic);
        let mut added = call.expect_json(StatusCode::OK).await?;
        self.as_meant([&mut added]).await?;
        agree(&action, toxic, added)
    }

    /// Gives a toxic, found by its name, the effect and toxicity of `toxic`. Its
    /// type and stream cannot change.
    ///
    /// # Errors
    /// Those of [`Self::add_toxic`].
    pub async fn update_toxic(&self, proxy: &str, toxic: &Toxic) -> Result<Toxic, ClientError> {
        let action = format!("update toxic {:?} of proxy {proxy:?}", toxic.name);
        self.check_extensions(&action, &toxic.effect).await?;
        let attributes = Some(toxic.effect.attributes());
        let update = ToxicUpdate { attributes, toxicity: Some(toxic.toxicity) };
        let path = ["proxies", proxy, "toxics", &toxic.name];
        let call = self.call(&action, Method::PATCH, &path).body(&update);
        let mut updated = call.expect_json(StatusCode::OK).await?;
        self.as_meant([&mut updated]).await?;
        agree(&action, toxic, updated)
    }

    /// Removes a toxic. Under load a stock server may hang in this: see
    /// [`Self::remove_toxic_surely`].
    ///
    /// # Errors
    /// Any [`ClientError`].
    pub async fn remove_toxic(&self, proxy: &str, toxic: &str) -> Result<(), ClientError> {
        let action = format!("remove toxic {toxic:?} of proxy {proxy:?}");
        let call = self.call(&action, Method::DELETE, &["proxies", proxy, "toxics", toxic]);
        call.expect_nothing(StatusCode::NO_CONTENT).await
    }

    async fn check_extensions(&self, action: &str, effect: &Effect) -> Result<(), ClientError> {
        match effect.extension() {
            Some(extension) => self.need_bundled(action, extension).await,
            None => Ok(()),
        }
    }

    /// Gives `toxics`, as a server told them, the meaning that they have there: a
    /// stock server has a rate per connection and does not say so.
    pub(super) async fn as_meant<'a>(
        &self,
        toxics: impl IntoIterator<Item = &'a mut Toxic>,
    ) -> Result<(), ClientError> {
        for toxic in toxics {
            if let Effect::Bandwidth(Bandwidth { scope: scope @ RateScope::Link, .. }) =
                &mut toxic.effect
                && !self.version().await?.is_bundled
            {
                *scope = RateScope::Connection;
            }
        }
        Ok(())
    }
}

/// `made`, if it is what was asked for. The stock server keeps toxicity in single
/// precision.
pub(super) fn agree(action: &str, asked: &Toxic, made: Toxic) -> Result<Toxic, ClientError> {
    let same_effect = match (&asked.effect, &made.effect) {
        // A server may fill in attributes that were left out.
        (Effect::Other { kind, .. }, effect) => kind == effect.kind(),
        (asked, made) => asked == made,
    };
    let same_toxicity = (asked.toxicity - made.toxicity).abs() <= f64::from(f32::EPSILON);
    if same_effect && same_toxicity && asked.name == made.name && asked.stream == made.stream {
        Ok(made)
    } else {
        Err(disagreement(action, asked, &made))
    }
}
