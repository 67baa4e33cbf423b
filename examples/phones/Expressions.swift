// Scores of a face crop by mien-1m in Core ML on iOS 16. NOT RUN HERE: a sketch.
// mien-1m.mlpackage comes from: mien export mien-1m --to coreml --out phones; Xcode compiles it.
import CoreML

final class Expressions {
    private let names = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral", "contempt"]
    private let model: MLModel
    private let given: String

    init(compiled url: URL) throws {
        model = try MLModel(contentsOf: url)
        given = model.modelDescription.inputDescriptionsByName.keys.first!
    }

    /// grey: 48x48 pixels, 0 to 255, row by row, cut as mien-1m.json says.
    func scores(grey: [UInt8]) throws -> [String: Float] {
        precondition(grey.count == 48 * 48, "expected 48x48 pixels, found \(grey.count)")
        let values = grey.map { Float($0) / 255 }
        let mean = values.reduce(0, +) / Float(values.count)
        let std = (values.map { ($0 - mean) * ($0 - mean) }.reduce(0, +) / Float(values.count)).squareRoot()
        let faces = try MLMultiArray(shape: [1, 1, 48, 48], dataType: .float32)
        for (place, value) in values.enumerated() {
            faces[place] = NSNumber(value: (value - mean) / (std + 0.05))
        }
        let answer = try model.prediction(from: MLDictionaryFeatureProvider(dictionary: [given: faces]))
        let logits = answer.featureValue(for: "logits")!.multiArrayValue!
        let exponentials = (0..<names.count).map { exp(logits[$0].floatValue) }
        let sum = exponentials.reduce(0, +)
        return Dictionary(uniqueKeysWithValues: zip(names, exponentials.map { $0 / sum }))
    }
}
