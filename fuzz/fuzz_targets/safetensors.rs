//! Headers of safetensors files, and the tensors they claim.
#![no_main]

use dipole::model::TensorFile;

fn check(content: &[u8]) {
    let path = dipole_fuzz::file("vectors.safetensors", content);
    match TensorFile::open(&path) {
        Ok(mut file) => {
            let names: Vec<String> = file.names().map(str::to_owned).collect();
            for name in names {
                if let Ok(values) = file.read(&name) {
                    assert!(values.len() <= content.len(), "more numbers than bytes");
                }
            }
        }
        Err(error) => assert!(error.to_string().contains("vectors.safetensors"), "{error}"),
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    check(data);
    // A header of the right length, then zeros for data.
    let Some((zeros, header)) = data.split_first() else { return };
    let length = (header.len() as u64).to_le_bytes();
    check(&[&length, header, &vec![0; usize::from(*zeros)]].concat());
});
