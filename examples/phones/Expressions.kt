// Scores of a face crop by mien-1m in LiteRT on Android. NOT RUN HERE: a sketch. Gradle: com.google.ai.edge.litert:litert
// assets/mien-1m-int8-weights.tflite comes from: mien export mien-1m --to litert --int8-weights --out phones
import android.content.Context
import com.google.ai.edge.litert.Accelerator
import com.google.ai.edge.litert.CompiledModel
import kotlin.math.exp
import kotlin.math.sqrt

class Expressions(context: Context) {
    private val names =
        listOf("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral", "contempt")
    private val model =
        CompiledModel.create(context.assets, "mien-1m-int8-weights.tflite", CompiledModel.Options(Accelerator.CPU))
    private val inputs = model.createInputBuffers()
    private val outputs = model.createOutputBuffers()

    /** grey: 48x48 pixels, 0 to 255, row by row, cut as mien-1m.json says. */
    fun scores(grey: IntArray): Map<String, Float> {
        require(grey.size == 48 * 48) { "expected 48x48 pixels, found ${grey.size}" }
        val values = FloatArray(grey.size) { grey[it] / 255f }
        val mean = values.average().toFloat()
        val std = sqrt(values.sumOf { ((it - mean) * (it - mean)).toDouble() } / values.size).toFloat()
        inputs[0].writeFloat(FloatArray(values.size) { (values[it] - mean) / (std + 0.05f) })
        model.run(inputs, outputs)
        val logits = outputs[0].readFloat()  // output_0; output_1 are features
        val exponentials = logits.map { exp(it - logits.max()) }
        return names.zip(exponentials.map { it / exponentials.sum() }).toMap()
    }
}
