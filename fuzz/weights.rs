//! What every target of a weights format does with a file that was taken.

use maskrcnn::WeightsFile;
use maskrcnn::engine::weights::NetworkWeights;

/// Opens a file, asks for its settings, loads the network, and reads some of its tensors.
pub fn read(data: &[u8]) {
    let Ok(file) = WeightsFile::from_bytes(data.to_vec(), "file") else { return };
    if let Ok(config) = file.config() {
        let _ = NetworkWeights::load(&file, &config);
    }
    let names: Vec<String> = file.names().take(8).map(String::from).collect();
    for name in names {
        if let Some(shape) = file.shape(&name) {
            let shape = shape.to_vec();
            let _ = file.tensor(&name, &shape);
        }
    }
}
