//! What `graph` says of a GPU that is there: AMD's compiler of Mesa stands for one.

use serde_json::{Value, json};

use crate::program::Ran;
use crate::stats::{null_device, on};

/// A GPU is predicted as others of its kind, and once its roofs were measured by those.
#[test]
fn a_gpu_is_predicted_by_its_kind_and_its_own_roofs() {
    let Some(gpu) = null_device() else { return };
    let cache = tempfile::tempdir().unwrap();
    let run =
        |args: &[&str]| Ran::new(on(gpu).env("MASKRCNN_CACHE", cache.path()).args(args).output().unwrap()).good().out;
    let planned = || -> (String, f64) {
        let plan: Value = serde_json::from_str(&run(&["graph", "--device", "0", "--json"])).unwrap();
        (plan["predicted"].as_str().unwrap().to_string(), plan["predicted_seconds"].as_f64().unwrap())
    };
    let (told, first) = planned();
    assert!(told.contains("as of `profile:rdna") && told.contains("`maskrcnn profile` measures its roofs"), "{told}");
    let table = run(&["graph", "--device", "0"]);
    assert!(table.contains(&format!("\ntimes are predicted {told}\n")) && table.contains("bound by"), "{table}");

    // A hundredth of the fastest.
    let listed = run(&["devices"]);
    let between = |from: &str, to: &str| listed.split_once(from).unwrap().1.split_once(to).unwrap().0.to_string();
    let (name, backend, driver) =
        (between("0: ", "  (the default)"), between(" through ", ", driver "), between(", driver ", "\n"));
    let roofs = json!({ "copy": 8e9, "fma": 5e11, "matrix": null, "steady": true });
    let all = json!({ "version": 3, "devices": { format!("{name}, {backend}, {driver}"): roofs } });
    std::fs::write(cache.path().join("roofs.json"), all.to_string()).unwrap();
    let (told, slower) = planned();
    assert!(told.contains("as of `profile:rdna") && told.contains("roofs that were measured on this one"), "{told}");
    assert!(slower > 30.0 * first, "{first} s, and {slower} s with a hundredth of its roofs");
}
