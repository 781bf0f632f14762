//! What a file is said to be, and what becomes of it in our form.

use half::f16;
use safetensors::tensor::Dtype;

use super::{Raw, Tensors, serialize, tiny_config, tiny_model, tiny_v2_config};
use crate::config::BlockKind;
use crate::config::Config;
use crate::error::Error;
use crate::weights::convert::{self, ElementType};
use crate::weights::inspect::Inventory;
use crate::weights::{NetworkWeights, WeightsFile};

fn file(tensors: &Tensors) -> WeightsFile {
    WeightsFile::from_bytes(serialize(tensors, None), "model.bin").unwrap()
}

#[test]
fn an_inventory_names_what_does_not_fit() {
    let config = tiny_v2_config();
    let mut all = tiny_model(&config);
    let counter = Raw { dtype: Dtype::I64, shape: vec![], bytes: vec![0; 8] };
    all.insert("backbone.body.bn1.num_batches_tracked".into(), counter);
    let whole = Inventory::new(&file(&all), &config);
    assert!(whole.fits(), "{whole:?}");
    assert_eq!(whole.tensors, all.len());
    assert_eq!(whole.types, [("F32".to_string(), all.len() - 1), ("I64".to_string(), 1)].into());

    let one = Raw { dtype: Dtype::F32, shape: vec![1], bytes: vec![0; 4] };
    all.remove("rpn.head.cls_logits.bias");
    all.insert("roi_heads.fc.bias".into(), one.clone());
    all.insert("loss.weight".into(), one.clone());
    all.insert("rpn.head.bbox_pred.bias".into(), one);
    let damaged = Inventory::new(&file(&all), &config);
    assert_eq!(damaged.missing, ["rpn.head.cls_logits.bias"]);
    assert_eq!(damaged.left_over, ["roi_heads.fc.bias"]);
    assert_eq!(file(&all).selection().beside, ["loss.weight"]);
    assert_eq!(damaged.misshapen, [("rpn.head.bbox_pred.bias".to_string(), vec![1], vec![12])]);
    assert!(!damaged.fits());
}

#[test]
fn an_inventory_knows_older_names() {
    let config = tiny_config(BlockKind::Basic);
    let old = |name: String| {
        name.replace("rpn.head.conv.0.0.", "rpn.head.conv.").replace("mask_head.1.0", "mask_head.mask_fcn2")
    };
    let all: Tensors = tiny_model(&config).into_iter().map(|(name, raw)| (old(name), raw)).collect();
    let inventory = Inventory::new(&file(&all), &config);
    assert!(inventory.fits(), "{inventory:?}");
}

#[test]
fn a_converted_file_is_the_same_network() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    for config in [tiny_config(BlockKind::Bottleneck), tiny_v2_config(), tiny_v2_config().without_masks()] {
        let old = |name: String| name.replace("rpn.head.conv.0.0.", "rpn.head.conv.");
        let (all, mut spelled) = (tiny_model(&config), Tensors::new());
        for (name, raw) in all {
            let name = if config.rpn.conv_depth == 1 { old(name) } else { name };
            spelled.insert(name, raw);
        }
        let from = file(&spelled);
        convert::write(&from, &config, ElementType::F32, &path).unwrap();
        let to = WeightsFile::open(&path).unwrap();
        let settings = to.settings().unwrap();
        assert!(settings.stated && settings.config == config);
        let network = NetworkWeights::load(&from, &config).unwrap();
        assert_eq!(NetworkWeights::load(&to, &config).unwrap(), network);

        convert::write(&from, &config, ElementType::F16, &path).unwrap();
        let half = WeightsFile::open(&path).unwrap();
        assert!(half.bytes() < to.bytes());
        NetworkWeights::load(&half, &half.config().unwrap()).unwrap();
        for name in half.names() {
            let shape = half.shape(name).unwrap();
            let (got, want) = (half.tensor(name, shape).unwrap(), to.tensor(name, shape).unwrap());
            let expected = |v: f32| if shape.len() > 1 { f16::from_f32(v).to_f32() } else { v };
            assert!(got.data.iter().zip(&want.data).all(|(g, &w)| *g == expected(w)), "{name}");
        }
    }
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
}

#[test]
fn what_cannot_be_converted_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    let config = tiny_config(BlockKind::Basic);
    let mut all = tiny_model(&config);
    let name = "roi_heads.box_head.fc7.weight";
    all.get_mut(name).unwrap().bytes[..4].copy_from_slice(&1e6f32.to_le_bytes());
    match convert::write(&file(&all), &config, ElementType::F16, &path) {
        Err(Error::Tensor { tensor, reason, .. }) => {
            assert!(tensor == name && reason.contains("1000000") && reason.contains("--f16"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
    convert::write(&file(&all), &config, ElementType::F32, &path).unwrap();
    std::fs::remove_file(&path).unwrap();
    all.remove(name);
    assert!(convert::write(&file(&all), &config, ElementType::F32, &path).is_err());
    assert!(convert::write(&file(&all), &Config::default(), ElementType::F32, &path).is_err());
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
    let missing = dir.path().join("no/model.safetensors");
    assert!(matches!(
        convert::write(&file(&tiny_model(&config)), &config, ElementType::F32, &missing),
        Err(Error::Io { .. })
    ));
}
