package img

const machine = "amd64"
