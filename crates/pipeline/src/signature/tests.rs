use super::*;

/// Of the Standard Webhooks specification: secret, id, timestamp, body, signature.
const OF_THE_SPECIFICATION: (&str, &str, i64, &str, &str) = (
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "msg_p5jXN8AQM9LWM0D4loKWxJek",
    1_614_265_330,
    r#"{"test": 2432232314}"#,
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
);

/// Of its Rust library.
const OF_THE_RUST_LIBRARY: (&str, &str, i64, &str, &str) = (
    "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
    "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
    1_649_367_553,
    r#"{"email":"test@example.com","username":"test_user"}"#,
    "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
);

const BODY: &[u8] = br#"{"test": 2432232314}"#;

fn key(secret: &str) -> SigningKey {
    SigningKey::new(&Secret::new(secret)).unwrap()
}

fn signed() -> (SigningKey, HeaderMap, Timestamp) {
    let (secret, id, seconds, _, _) = OF_THE_SPECIFICATION;
    let key = key(secret);
    let signatures = key.sign_text(id, seconds, BODY);
    let mut headers = HeaderMap::new();
    headers.insert(ID, signatures.id);
    headers.insert(TIMESTAMP, signatures.timestamp);
    headers.insert(STANDARD_SIGNATURE, signatures.standard);
    headers.insert(PLAIN_SIGNATURE, signatures.plain);
    (key, headers, Timestamp::from_millis(seconds * 1_000))
}

#[test]
fn signatures_are_those_of_the_published_vectors() {
    for (secret, id, seconds, body, signature) in [OF_THE_SPECIFICATION, OF_THE_RUST_LIBRARY] {
        let signatures = key(secret).sign_text(id, seconds, body.as_bytes());
        assert_eq!(signatures.standard, signature);
        assert_eq!(signatures.id, id);
        assert_eq!(signatures.timestamp, seconds.to_string());
    }
}

#[test]
fn the_plain_signature_is_what_openssl_computes() {
    // printf '{"test": 2432232314}' | openssl dgst -sha256 -hmac 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
    let (_, headers, _) = signed();
    assert_eq!(
        headers[PLAIN_SIGNATURE],
        "80ec8a89ce3cd22133a1066caecb4d04fea7467657c8514d717ec42c38a5c94c"
    );
}

#[test]
fn a_secret_without_padding_or_prefix_gives_the_same_standard_signature() {
    let id = "evt_1";
    let of = |secret| key(secret).sign_text(id, 1, b"x").standard;
    assert_eq!(of("whsec_AAECAwQFBgcICQ=="), of("whsec_AAECAwQFBgcICQ"));
    assert_eq!(of("whsec_AAECAwQFBgcICQ=="), of("AAECAwQFBgcICQ=="));
}

#[test]
fn what_is_no_secret_is_refused() {
    for bad in ["", "whsec_", "whsec_not base64", "whsec_!!!!"] {
        assert_eq!(
            SigningKey::new(&Secret::new(bad)).unwrap_err(),
            InvalidSecret,
            "{bad}"
        );
    }
}

#[test]
fn a_signed_delivery_verifies_by_both_schemes_or_by_either() {
    let (key, mut headers, now) = signed();
    let both = Verified {
        standard: true,
        plain: true,
    };
    assert_eq!(key.verify(&headers, BODY, Some(now)), Ok(both));
    let standard = headers.remove(STANDARD_SIGNATURE).unwrap();
    let plain_only = Verified {
        standard: false,
        plain: true,
    };
    assert_eq!(key.verify(&headers, BODY, Some(now)), Ok(plain_only));
    headers.remove(PLAIN_SIGNATURE);
    assert_eq!(
        key.verify(&headers, BODY, Some(now)),
        Err(Unverified::NoSignature)
    );
    headers.insert(STANDARD_SIGNATURE, standard);
    let standard_only = Verified {
        standard: true,
        plain: false,
    };
    assert_eq!(key.verify(&headers, BODY, Some(now)), Ok(standard_only));
}

#[test]
fn of_several_signatures_one_that_matches_is_enough_and_unknown_versions_are_skipped() {
    let (key, mut headers, now) = signed();
    let right = headers[STANDARD_SIGNATURE].to_str().unwrap().to_owned();
    let list = format!("v1a,AAAA v1,AAAA {right} v9,x");
    headers.insert(STANDARD_SIGNATURE, list.parse().unwrap());
    assert!(key.verify(&headers, BODY, Some(now)).is_ok());
    headers.insert(STANDARD_SIGNATURE, "v1,AAAA v1,".parse().unwrap());
    assert_eq!(
        key.verify(&headers, BODY, Some(now)),
        Err(Unverified::Standard)
    );
    headers.insert(STANDARD_SIGNATURE, "v1a,AAAA".parse().unwrap());
    assert_eq!(
        key.verify(&headers, BODY, Some(now)),
        Err(Unverified::NoKnownVersion)
    );
}

#[test]
fn each_thing_that_can_be_wrong_has_its_own_reason() {
    let (right, headers, now) = signed();
    let with = |name: HeaderName, value: &str| {
        let mut headers = headers.clone();
        headers.insert(name, value.parse().unwrap());
        headers
    };
    let without = |name: HeaderName| {
        let mut headers = headers.clone();
        headers.remove(name);
        headers
    };
    let other = key("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
    let verify = |headers: &HeaderMap, body: &[u8]| right.verify(headers, body, Some(now));
    assert_eq!(
        other.verify(&headers, BODY, Some(now)),
        Err(Unverified::Standard)
    );
    assert_eq!(verify(&headers, b"{}"), Err(Unverified::Standard));
    assert_eq!(
        verify(&without(STANDARD_SIGNATURE), b"{}"),
        Err(Unverified::Plain)
    );
    assert_eq!(
        verify(&with(ID, "msg_other"), BODY),
        Err(Unverified::Standard)
    );
    assert_eq!(
        verify(&with(PLAIN_SIGNATURE, "00"), BODY),
        Err(Unverified::Plain)
    );
    assert_eq!(
        verify(&with(TIMESTAMP, "yesterday"), BODY),
        Err(Unverified::Timestamp)
    );
    for name in [ID, TIMESTAMP] {
        assert_eq!(
            verify(&without(name.clone()), BODY),
            Err(Unverified::Header(name))
        );
    }
}

#[test]
fn a_timestamp_may_be_five_minutes_off_and_no_more() {
    let (key, headers, signed_at) = signed();
    let second = Duration::from_secs(1);
    for at in [signed_at + TOLERANCE, signed_at - TOLERANCE] {
        assert!(key.verify(&headers, BODY, Some(at)).is_ok());
    }
    let late = key.verify(&headers, BODY, Some(signed_at + TOLERANCE + second));
    let distance = TOLERANCE + second;
    assert_eq!(
        late,
        Err(Unverified::Stale {
            distance,
            ahead: false
        })
    );
    let early = key.verify(&headers, BODY, Some(signed_at - TOLERANCE - second));
    assert_eq!(
        early,
        Err(Unverified::Stale {
            distance,
            ahead: true
        })
    );
    assert!(key.verify(&headers, BODY, None).is_ok());
}
