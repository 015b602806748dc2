module example.com/go-lambdas

go 1.19
