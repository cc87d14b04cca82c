//! That the models find what they look for: the same scenes with the reader's two steps in the wrong order.

use super::*;

#[test]
#[should_panic(expected = "check before watermarks")]
fn a_check_before_the_watermarks_is_found() {
    loom::model(|| {
        let (scene, mut writer) = Scene::new();
        let fragment = scene.ask();
        scene.clock.advance(LATER);
        let feed = thread::spawn(move || {
            change(&mut writer);
            writer.watermark(SOURCE, WATERMARK);
        });
        let passed = scene.feed.overtaken(scene.fence_index(), fragment.position);
        let watermark = scene.feed.watermark(SOURCE).unwrap_or_default();
        assert!(
            passed || Scene::is_true(&fragment, watermark),
            "check before watermarks"
        );
        feed.join().expect("the feed does not panic");
    });
}

#[test]
#[should_panic(expected = "asked before noting")]
fn a_question_before_the_note_is_found() {
    loom::model(|| {
        let (scene, mut writer) = Scene::new();
        let source = scene.clone();
        let feed = thread::spawn(move || {
            source.commit();
            change(&mut writer);
            writer.watermark(SOURCE, WATERMARK);
        });
        let revision = scene.revision.load(Ordering::Relaxed);
        let mut fragment = scene.ask();
        fragment.version.revision = revision;
        scene.clock.advance(LATER);
        let complete_until = scene.check(&fragment);
        assert!(Scene::is_true(&fragment, complete_until), "asked before noting");
        feed.join().expect("the feed does not panic");
    });
}
