//! Devices of every ability that an app may have made.

use super::{app_adapter, app_device};
use maskrcnn::{Device, Error, wgpu};

#[cfg(feature = "embedded-model")]
use maskrcnn::{Detections, Detector, engine::vision::scene};

/// As other tests hold devices against each other: the same objects, boxes within a twentieth of a pixel, masks but for
/// pixels on the threshold.
#[cfg(feature = "embedded-model")]
fn assert_alike(got: &Detections, want: &Detections) {
    assert!(!want.is_empty() && got.len() == want.len(), "{} of {}", got.len(), want.len());
    for (a, b) in got.iter().zip(want.iter()) {
        assert!((a.score - b.score).abs() < 1e-3 && a.label == b.label, "{} for {}", a.score, b.score);
        assert!(a.bbox.iter().zip(b.bbox).all(|(a, b)| (a - b).abs() < 0.05), "{:?} for {:?}", a.bbox, b.bbox);
        let far = a.mask.area().abs_diff(b.mask.area());
        assert!(far <= 2 + b.mask.area() / 200, "{far} pixels of {}", b.mask.area());
    }
}

/// WebGPU's default limits and no feature are enough; what the requirements name is more.
#[test]
#[cfg(feature = "embedded-model")]
fn a_device_of_the_least_abilities_finds_the_same() {
    let image = scene::nuclei(200, 160, 5, 10).unwrap().image;
    let find = |device: &Device| Detector::builder().device(device).build().unwrap().detect(&image).unwrap();
    let want = find(crate::common::device());
    let adapter = app_adapter();
    let asked = Device::requirements(&adapter);
    for (features, limits) in [
        (wgpu::Features::empty(), wgpu::Limits::default()),
        (asked.wanted_features, wgpu::Limits::default().or_better_values_from(&asked.wanted_limits)),
    ] {
        let (device, queue) = app_device(&adapter, features, limits.clone());
        let device = Device::from_wgpu(&adapter, device, queue).unwrap();
        let can = device.target().can;
        if features.is_empty() {
            assert!(can.subgroup.is_none() && !can.f16 && can.matrices.is_empty(), "{can:?}");
            assert_eq!((can.max_invocations, can.workgroup_bytes), (256, 16384));
            assert_eq!(device.max_binding(), 128 << 20);
        } else {
            // Everything that a device of ours has, but for what is experimental.
            let ours = crate::common::device().target().can;
            assert_eq!((can.subgroup, can.f16, can.max_invocations), (ours.subgroup, ours.f16, ours.max_invocations));
        }
        assert_alike(&find(&device), &want);
    }
}

#[test]
fn what_a_device_lacks_is_named() {
    let adapter = app_adapter();
    let (device, queue) = app_device(&adapter, wgpu::Features::empty(), wgpu::Limits::downlevel_defaults());
    let Err(e @ Error::NoAdapter(_)) = Device::from_wgpu(&adapter, device, queue) else { panic!("no error") };
    let told = e.to_string();
    assert!(told.contains("max_storage_buffers_per_shader_stage = 4, and 8 are needed"), "{told}");
    assert!(told.contains("Limits::default()"), "{told}");
    // Each that is needed is looked at.
    let limits = wgpu::Limits { max_compute_workgroup_storage_size: 16352, ..Default::default() };
    let (device, queue) = app_device(&adapter, wgpu::Features::empty(), limits);
    let told = Device::from_wgpu(&adapter, device, queue).err().unwrap().to_string();
    assert!(told.contains("max_compute_workgroup_storage_size = 16352, and 16384"), "{told}");
}

/// What fails in here is an error of ours, and the app's handler hears nothing.
#[test]
#[cfg(feature = "embedded-model")]
fn errors_stay_in_the_house() {
    let adapter = app_adapter();
    let (device, queue) = app_device(&adapter, wgpu::Features::empty(), wgpu::Limits::default());
    let borrowed = Device::from_wgpu(&adapter, device.clone(), queue).unwrap();
    let detector = Detector::builder().device(&borrowed).build().unwrap();
    let image = scene::nuclei(64, 64, 5, 2).unwrap().image;
    let want = detector.detect(&image).unwrap();
    // A picture of another device, which wgpu notices while commands are recorded.
    let (other, its_queue) = app_device(&adapter, wgpu::Features::empty(), wgpu::Limits::default());
    let strange = super::texture_of(&other, &its_queue, &image, wgpu::TextureFormat::Rgba8Unorm, super::Layout::Whole);
    let failed = detector.detect_gpu(&maskrcnn::GpuImage::from_texture(&strange).unwrap());
    assert!(matches!(failed, Err(Error::Device { .. })), "{failed:?}");
    assert!(detector.detect(&image).unwrap() == want);
    device.destroy();
    let failed = detector.detect(&image);
    assert!(matches!(failed, Err(Error::Device { .. } | Error::DeviceLost { .. })), "{failed:?}");
    assert!(Detector::builder().device(&borrowed).build().unwrap().detect(&image).is_err());
}
