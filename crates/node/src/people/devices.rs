//! Devices come and go by the word of another one.

use documents::PublicKey;
use people::{Book, DEVICES_MAX, Device, SignedRequest};

use super::{Me, PeopleError, short};
use crate::hubs::HubLink;
use crate::publish::unix_now;
use crate::state::Node;

impl Node {
    /// Puts a device on the list of its owner, by the line that the device printed. The address book is
    /// sealed anew, so that the device can read it.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub async fn approve_device(
        &self,
        hub: &HubLink,
        request: &SignedRequest,
    ) -> Result<Me, PeopleError> {
        let request = request.open()?;
        let me = self.me(hub).await?;
        if request.handle != *me.approved()?.handle() {
            return Err(PeopleError::OtherPerson(request.handle));
        }
        let mut devices = me.known.list.devices.clone();
        let device = Device { exchange: request.exchange, name: request.name, since: unix_now() };
        devices.entry(request.key).or_insert(device);
        if devices.len() > DEVICES_MAX {
            return Err(PeopleError::TooManyDevices);
        }
        self.put_devices(hub, &me, devices).await
    }

    /// Takes a device off the list, by its name or the beginning of its key, and logs it out for good.
    ///
    /// # Errors
    /// See [`PeopleError`].
    pub async fn remove_device(&self, hub: &HubLink, which: &str) -> Result<Me, PeopleError> {
        let me = self.me(hub).await?;
        me.approved()?;
        let listed = &me.known.list.devices;
        let is_meant =
            |(key, device): &(&PublicKey, &Device)| device.name == which || is_key_of(key, which);
        let found: Vec<PublicKey> = listed.iter().filter(is_meant).map(|(key, _)| *key).collect();
        if let [key] = found[..] {
            if listed.len() == 1 {
                return Err(PeopleError::OnlyDevice);
            }
            // Afterwards it may not write the book for the others any more.
            if key == self.key().public() && self.wrote_book(hub).await? {
                return Err(PeopleError::WroteBook);
            }
            let mut devices = listed.clone();
            devices.remove(&key);
            return self.put_devices(hub, &me, devices).await;
        }
        // One that logged in and was never approved.
        let unlisted = me.person.unlisted.iter().map(|device| PublicKey::from_bytes(device.key.0));
        let found: Vec<PublicKey> = unlisted.filter(|key| is_key_of(key, which)).collect();
        let [key] = found[..] else {
            return Err(PeopleError::NoSuchDevice(which.to_owned()));
        };
        hub.client.log_out(*key.as_bytes()).await?;
        self.me(hub).await
    }

    async fn wrote_book(&self, hub: &HubLink) -> Result<bool, PeopleError> {
        let Some(sealed) = hub.client.book().await?.sealed else { return Ok(false) };
        Ok(Book::writer_of(&sealed.0)? == self.key().public())
    }

    async fn put_devices(
        &self,
        hub: &HubLink,
        me: &Me,
        devices: std::collections::BTreeMap<PublicKey, Device>,
    ) -> Result<Me, PeopleError> {
        if devices == me.known.list.devices {
            return Ok(me.clone());
        }
        let next = me.known.successor(devices, self.key().public(), unix_now()).sign(self.key());
        // While this device is still on the list it may write the book for the others.
        let contacts = self.contacts(hub, me).await?;
        hub.client.put_devices(&next).await?;
        let me = self.me(hub).await?;
        if me.is_approved {
            self.keep_contacts(hub, &me, contacts).await?;
        }
        Ok(me)
    }
}

/// Whether the text is the key or the beginning of it, of a length that nobody hits by chance.
fn is_key_of(key: &PublicKey, text: &str) -> bool {
    let whole = key.to_string();
    text.len() >= short(key).len() / 2 && whole.starts_with(text)
}
