//! The page of a trace that is not known.

use crate::Viewer;

/// Where the page goes by itself, if it does.
fn goes_to(page: &str) -> Option<&str> {
    let (_, after) = page.split_once(r#"http-equiv="refresh" content="1; url="#)?;
    after.split_once('"').map(|(to, _)| to)
}

#[tokio::test]
async fn it_looks_again_for_a_while_and_not_for_ever() {
    let viewer = Viewer::start().await;
    let first = "/traces/0123456789abcdef0123456789abcdef".to_owned();
    let mut seen = vec![first.clone()];
    while let Some(path) = seen.last() {
        let page = reqwest::get(format!("{}{path}", viewer.url)).await.unwrap();
        assert_eq!(page.status(), 404, "{path}");
        let page = page.text().await.unwrap();
        let Some(next) = goes_to(&page) else {
            assert!(!page.contains("http-equiv"), "{page}");
            assert!(
                page.contains(&format!("href=\"{first}\"")),
                "to begin anew: {page}"
            );
            break;
        };
        assert!(seen.len() < 60, "a minute is enough");
        assert!(seen.iter().all(|path| path != next), "{next} was seen");
        seen.push(next.to_owned());
    }
    assert!(
        seen.len() > 10,
        "batches come within five seconds, and not every machine is quick"
    );
}
