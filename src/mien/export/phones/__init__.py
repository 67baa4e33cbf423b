"""From mien's ONNX files to the formats of phones and boards: LiteRT, ncnn, OpenVINO, Core ML; no torch but in two"""
