//! The headers by which Graph says how near a limit is (Microsoft's "throttling limits" page, identity and access).

use http::HeaderMap;

/// What texts of headers are cut to: they are for logs.
const MAX_TEXT: usize = 256;

/// What an answer says of Graph's limits. Most answers say nothing: Graph sends these headers for some resources only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Throttle {
    /// How much of the limit is used up, in percent: 80 to 180. Graph only tells from 80 on
    /// (`x-ms-throttle-limit-percentage`, where it is a fraction: `0.8`).
    pub limit_percent: Option<u16>,
    /// What the call cost (`x-ms-resource-unit`).
    pub resource_units: Option<u32>,
    /// Whose limit it is, such as `Tenant_Application/ReadWrite/{app}/{tenant}` (`x-ms-throttle-scope`). Only with 429.
    pub scope: Option<String>,
    /// Which limit it is, such as `ResourceUnitLimitExceeded` (`x-ms-throttle-information`). Only with 429.
    pub information: Option<String>,
}

/// Whose limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThrottleScope {
    /// That of the app in all tenants together.
    App,
    /// That of the tenant, or of the app in the tenant.
    Tenant,
}

impl Throttle {
    /// Whose limit was reached, as far as Graph said. Where it does not, that depends on what was asked: Outlook counts by
    /// mailbox and says nothing.
    pub fn whose(&self) -> Option<ThrottleScope> {
        let whose = self.scope.as_deref()?.split('/').next()?;
        match whose.to_ascii_lowercase().as_str() {
            "application" => Some(ThrottleScope::App),
            "tenant" | "tenant_application" => Some(ThrottleScope::Tenant),
            _ => None,
        }
    }

    /// Reads the headers of an answer. What cannot be read counts as not said.
    pub fn parse(headers: &HeaderMap) -> Self {
        let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
        let owned = |name: &str| {
            text(name)
                .filter(|text| !text.is_empty())
                .map(|text| text.chars().take(MAX_TEXT).collect())
        };
        Self {
            limit_percent: text("x-ms-throttle-limit-percentage").and_then(percent),
            resource_units: text("x-ms-resource-unit").and_then(|text| {
                let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
                whole.parse().ok()
            }),
            scope: owned("x-ms-throttle-scope"),
            information: owned("x-ms-throttle-information"),
        }
    }
}

/// `0.85` as 85. Digits beyond the second are cut off.
fn percent(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let whole: u16 = whole.parse().ok()?;
    let hundredths: u16 = format!("{:0<2}", &fraction[..fraction.len().min(2)])
        .parse()
        .ok()?;
    whole.checked_mul(100)?.checked_add(hundredths)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn parsed(headers: &[(&'static str, &str)]) -> Throttle {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        Throttle::parse(&map)
    }

    #[test]
    fn all_four_headers_are_read() {
        let scope = "Tenant_Application/ReadWrite/2c9f/81aa";
        let throttle = parsed(&[
            ("x-ms-throttle-limit-percentage", "1.25"),
            ("x-ms-resource-unit", "5"),
            ("x-ms-throttle-scope", scope),
            ("x-ms-throttle-information", "ResourceUnitLimitExceeded"),
        ]);
        assert_eq!(throttle.limit_percent, Some(125));
        assert_eq!(throttle.resource_units, Some(5));
        assert_eq!(throttle.scope.as_deref(), Some(scope));
        assert_eq!(
            throttle.information.as_deref(),
            Some("ResourceUnitLimitExceeded")
        );
        assert_eq!(parsed(&[]), Throttle::default());
        assert_eq!(throttle.whose(), Some(ThrottleScope::Tenant));
        let of = |scope| parsed(&[("x-ms-throttle-scope", scope)]).whose();
        assert_eq!(of("Application/Read/2c9f"), Some(ThrottleScope::App));
        assert_eq!(of("Tenant/Write/81aa"), Some(ThrottleScope::Tenant));
        assert_eq!(of("Mailbox/x"), None);
        assert_eq!(parsed(&[]).whose(), None);
    }

    #[test]
    fn a_percentage_is_a_decimal_fraction_or_nothing() {
        for (text, expected) in [
            ("0.8", Some(80)),
            ("0.855", Some(85)),
            ("1", Some(100)),
            ("1.80", Some(180)),
            ("", None),
            ("80%", None),
            ("-1", None),
            ("1e3", None),
            ("9999", None),
            (".8", None),
        ] {
            assert_eq!(
                parsed(&[("x-ms-throttle-limit-percentage", text)]).limit_percent,
                expected,
                "{text}"
            );
        }
    }
}
