package img

const machine = "arm64"
