//! Both signatures of a delivery, checked independently of the product.

use std::fmt::Write as _;

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};

use crate::receiver::Delivery;

/// Whether a delivery is signed with `secret`, in both ways. Says what is wrong if not.
pub fn check(delivery: &Delivery, secret: &str) -> Result<(), String> {
    plain(delivery, secret)?;
    standard(delivery, secret)
}

/// `x-tidings-signature`: lower-case hex of HMAC-SHA256 over the body, keyed by the secret as shown.
pub fn plain(delivery: &Delivery, secret: &str) -> Result<(), String> {
    let sent = delivery.required("x-tidings-signature")?;
    let tag = mac(secret.as_bytes(), &delivery.body);
    let mut expected = String::new();
    for byte in tag {
        write!(expected, "{byte:02x}").expect("a string can be written to");
    }
    if sent == expected {
        Ok(())
    } else {
        Err(format!(
            "x-tidings-signature is {sent}, should be {expected}"
        ))
    }
}

/// Standard Webhooks: one of the entries of `webhook-signature` is `v1,` and the base64 of HMAC-SHA256 over
/// `id.timestamp.body`, keyed by the base64 part of the secret.
pub fn standard(delivery: &Delivery, secret: &str) -> Result<(), String> {
    let (id, timestamp) = (
        delivery.required("webhook-id")?,
        delivery.required("webhook-timestamp")?,
    );
    let key = secret.strip_prefix("whsec_").ok_or("no whsec_ in front")?;
    let key = STANDARD.decode(key).map_err(|error| error.to_string())?;
    let mut signed = format!("{id}.{timestamp}.").into_bytes();
    signed.extend_from_slice(&delivery.body);
    let expected = format!("v1,{}", STANDARD.encode(mac(&key, &signed)));
    let sent = delivery.required("webhook-signature")?;
    if sent.split(' ').any(|entry| entry == expected) {
        Ok(())
    } else {
        Err(format!(
            "webhook-signature is {sent}, should hold {expected}"
        ))
    }
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, message).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vector of the Standard Webhooks libraries.
    #[test]
    fn the_published_vector_is_verified() {
        let delivery = Delivery::made(
            &[
                ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
                ("webhook-timestamp", "1614265330"),
                (
                    "webhook-signature",
                    "v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
                ),
            ],
            br#"{"test": 2432232314}"#,
        );
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        assert_eq!(standard(&delivery, secret), Ok(()));
        assert!(standard(&delivery, "whsec_AAAA").is_err());
        assert!(plain(&delivery, secret).is_err());
    }
}
